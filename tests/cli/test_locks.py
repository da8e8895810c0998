"""Locks as arguments or options, and what makes what a command on them misses."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from seglock.cli.app import app

PARAMS = "locks: {baseline: {steps: []}, np-4: {steps: [np-4]}, shf-4: {steps: [shf-4]}}\n"
MANY = {"train": "train.train_locks", "evaluate": "evaluate.evaluate_locks"}
EACH = {
    "attack": "attack.attack_lock",
    "data encrypt": "encrypt.encrypt_split",
    "rotate": "rotate.rotate_lock",
}
PACKAGE = {"package": "package.package_locks"}


class ReachedError(Exception):
    """A stage was called."""


@pytest.fixture(autouse=True)
def _project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "params.yaml").write_text(PARAMS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


def run(*words: str) -> Result:
    return CliRunner().invoke(app, words)


@pytest.mark.parametrize("command", [*MANY, *EACH, *PACKAGE])
@pytest.mark.parametrize(
    "words", ["np-4 shf-4", "--lock np-4 --lock shf-4", "-l shf-4 np-4", "np-4 shf-4 --lock np-4"]
)
def test_a_lock_is_an_argument_or_an_option(
    command: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []

    def stage(locks: Any, *_: Any, **__: Any) -> None:
        seen.append(locks)
        raise ReachedError

    room, _, name = (MANY | EACH | PACKAGE)[command].partition(".")
    monkeypatch.setattr(importlib.import_module(f"seglock.stages.{room}"), name, stage)
    done = run(*command.split(), *words.split())
    assert isinstance(done.exception, ReachedError), done.output
    assert seen == (["np-4"] if command in EACH else [["np-4", "shf-4"]])


@pytest.mark.parametrize("command", [*MANY, *EACH])
def test_without_a_lock_those_that_there_are_are_named(command: str) -> None:
    done = run(*command.split())
    assert str(done.exception) == (
        "a lock must be named, got none; params.yaml has baseline, np-4, shf-4"
    )


@pytest.mark.parametrize(
    ("command", "target"),
    [
        ("train np-4 shf-4", "train@np-4 train@shf-4"),
        ("evaluate baseline", "evaluate@baseline"),
        ("attack np-4", "attack@np-4"),
        ("data encrypt np-4", "encrypt@np-4"),
        ("package np-4", "evaluate@np-4"),
        ("rotate np-4", "evaluate@np-4"),
        ("data prepare", "prepare"),
        ("search", "search"),
        ("report", ""),
    ],
)
def test_one_command_makes_all_that_is_missing(command: str, target: str) -> None:
    done = run(*command.split())
    assert f"run `{f'dvc repro {target}'.strip()}`" in str(done.exception)


def test_a_project_that_is_missing_is_no_step_of_it(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").unlink()
    done = run("train", "np-4")
    assert "run seglock in the project's folder, or make" in str(done.exception)
