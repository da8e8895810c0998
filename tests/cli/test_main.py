"""The command line: quick help, one message, an exit code."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.program import seglock

HEAVY = (
    "torch", "torchvision", "mlflow", "optuna", "ray", "numpy", "pydantic", "matplotlib", "plotly",
    "PIL", "cryptography",
)  # fmt: skip


def test_help_imports_nothing_heavy(tmp_path: Path) -> None:
    code = (
        "import sys; sys.argv = ['seglock', '--help']\n"
        "from seglock.cli import main\n"
        "try: main()\n"
        f"finally: print('HEAVY', sorted(set({HEAVY!r}) & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], text=True, capture_output=True, check=True)
    assert done.stdout.endswith("HEAVY []\n")


@pytest.mark.parametrize("command", ["--version", "profile"])
def test_no_child_of_a_command_is_given_a_key(tmp_path: Path, command: str) -> None:
    code = (
        f"import subprocess, sys; sys.argv = ['seglock', {command!r}]\n"
        "from seglock.cli import main\n"
        "try: main()\n"
        "finally: print(subprocess.check_output(['env'], text=True))"
    )
    secrets = {"SEGLOCK_KEY_MAIN": "5f" * 32, "SEGLOCK_KEY_OTHER": "hunter22"}
    environment = os.environ | secrets | {"SEGLOCK_KEY_DIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code], text=True, capture_output=True, env=environment
    )
    found = [line for line in done.stdout.splitlines() if line.startswith("SEGLOCK_KEY_")]
    assert found == [f"SEGLOCK_KEY_DIR={tmp_path}"], done.stderr


def test_every_command_has_help(tmp_path: Path) -> None:
    from typer.main import get_command

    from seglock.cli.app import app

    def walk(command, path: list[str]) -> None:
        for name, sub in getattr(command, "commands", {}).items():
            assert sub.help, [*path, name]
            walk(sub, [*path, name])

    walk(get_command(app), [])


def test_version(tmp_path: Path) -> None:
    import seglock as package

    done = seglock("--version", cwd=tmp_path)
    assert done.stdout.strip() == f"seglock {package.__version__}"


def test_outside_a_project_it_says_where_to_run(tmp_path: Path) -> None:
    done = seglock("train", "--lock", "shf-4", cwd=tmp_path)
    assert done.returncode == 2
    assert "run seglock in the project's folder" in done.stderr
    assert "Traceback" not in done.stderr


def test_unknown_command_and_lock(tmp_path: Path) -> None:
    assert seglock("tran", cwd=tmp_path).returncode == 2
    (tmp_path / "params.yaml").write_text("locks: {baseline: {steps: []}, shf-4: {steps: [shf-4]}}")
    done = seglock("train", "--lock", "shf4", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr == (
        "seglock: lock must be named under locks: in params.yaml, got 'shf4'; "
        "did you mean 'shf-4'?\n"
    )


def test_all_faults_of_params_are_listed(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text(
        "locks: {baseline: {steps: []}, x: {steps: [shf-3, nq-4]}}\ntrain: {epochs: 0}\n"
    )
    done = seglock("evaluate", "--lock", "x", cwd=tmp_path)
    assert done.returncode == 2
    for part in ("train.epochs", "block_size=3", "did you mean 'np'?"):
        assert part in done.stderr


def test_a_key_that_is_refused_exits_3(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text("locks: {baseline: {steps: []}, shf-4: {steps: [shf-4]}}")
    done = seglock(
        "data", "encrypt", "--lock", "shf-4", cwd=tmp_path, SEGLOCK_KEY_DIR=str(tmp_path / "none")
    )
    assert done.returncode == 3
    assert done.stderr.count("\n") == 1
