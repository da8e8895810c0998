"""Commands find the project they are started in, and say paths as one would paste them there."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.program import seglock

PARAMS = "locks: {baseline: {steps: []}, np-4: {steps: [np-4]}}\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "a b" / "data" / "deep").mkdir(parents=True)
    (tmp_path / "a b" / "params.yaml").write_text(PARAMS)
    return tmp_path / "a b"


def test_a_subfolder_belongs_to_its_project(project: Path) -> None:
    here, below = (
        seglock("report", "--show", cwd=folder) for folder in (project, project / "data/deep")
    )
    assert here.returncode == below.returncode == 2
    assert here.stderr == below.stderr
    assert f"{project}/data/reports/summary.json" in below.stderr


@pytest.mark.parametrize("mark", [".git", ".dvc", "dvc.yaml", "profiles"])
def test_a_project_of_its_own_within_another_is_left_to_itself(project: Path, mark: str) -> None:
    (project / "data" / "deep" / mark).mkdir()
    done = seglock("report", "--show", cwd=project / "data" / "deep")
    assert "summary.json must exist" in done.stderr
    assert f"{project}/data/deep/data/reports" in done.stderr


def test_paths_of_the_command_line_are_from_where_it_was_started(project: Path) -> None:
    (project / "data" / "deep" / "mine.json").write_text("{}")
    done = seglock("key", "verify", "main", "--record", "mine.json", cwd=project / "data/deep")
    assert "mine.json" in done.stderr
    assert "no such file" not in done.stderr
    done = seglock("data", "check", ".", cwd=project / "data/deep")
    assert f"{project}/data/deep" in done.stderr


def test_a_folder_that_is_gone_is_one_message(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    command = f'rmdir "{gone}"; exec "{sys.executable}" -m seglock key list'
    done = subprocess.run(
        ["/bin/sh", "-c", command], cwd=gone, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr.startswith("seglock: the current folder must exist, got one")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("variable", ["HOME", "SEGLOCK_KEY_DIR"])
def test_a_home_that_is_not_known_is_one_message(project: Path, variable: str) -> None:
    """As in a container that runs as a user without an entry; simulated where pwd is asked."""
    code = (
        "import os, pwd, sys\n"
        "def nobody(*_): raise KeyError('no such user')\n"
        "pwd.getpwuid = pwd.getpwnam = nobody\n"
        "os.environ.pop('HOME', None); os.environ.pop('SEGLOCK_KEY_DIR', None)\n"
        "sys.argv = ['seglock', 'key', 'list']\n"
    )
    if variable == "HOME":  # some library asks
        code += (
            "from pathlib import Path; import seglock.cli.app; from seglock.cli import main\n"
            "seglock.cli.app.app = Path.home\n"
        )
    code += "from seglock.cli import main; main()\n"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=project, capture_output=True, text=True, check=False
    )
    assert done.returncode == {"HOME": 2, "SEGLOCK_KEY_DIR": 3}[variable]
    assert f"{variable} to a folder" in done.stderr
    assert done.stderr.count("\n") == 1


def test_an_unknown_users_home_for_keys_is_one_message(project: Path) -> None:
    done = seglock("key", "list", cwd=project, SEGLOCK_KEY_DIR="~nosuchuser/keys")
    assert done.returncode == 3
    assert "got ~nosuchuser/keys" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("refusal", ["PermissionError(13, 'no', '/x')", "OSError(30, 'no', '/x')"])
def test_a_folder_that_may_not_be_written_to_is_one_message(tmp_path: Path, refusal: str) -> None:
    code = (
        "import seglock.cli.app; from seglock.cli import main\n"
        f"def refuse(): raise {refusal}\n"
        "seglock.cli.app.app = refuse; main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr.startswith("seglock: the disk refused a write (no: /x); let this user")
