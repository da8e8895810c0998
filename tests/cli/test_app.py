"""The command tree: what people try first, and Ctrl-C."""

from __future__ import annotations

import re

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from seglock.cli.app import ELSEWHERE, app


def test_what_people_try_first_says_what_does_it() -> None:
    done = CliRunner().invoke(app, ["train-all", "--epochs", "3"])
    assert done.exit_code == 2
    said = " ".join(re.sub("[│╭╮╰╯─]", " ", done.output).split())
    assert "No such command 'train-all'; `dvc repro` trains all locks and judges them" in said


def test_a_slip_names_what_is_near() -> None:
    done = CliRunner().invoke(app, ["trian"])
    assert "Did you mean 'train'" in done.output


@pytest.mark.parametrize("name", ELSEWHERE)
def test_what_is_named_instead_exists(name: str) -> None:
    commands = get_command(app).commands
    assert name not in commands
    for line in re.findall(r"`seglock ([^`]*)`", ELSEWHERE[name]):
        first, *more = line.split()
        if first.startswith("--"):
            continue
        known = commands[first]
        if hasattr(known, "commands"):
            known = known.commands[more[0]]
        options = {option for parameter in known.params for option in parameter.opts}
        assert {word for word in more if word.startswith("--")} <= options


def test_ctrl_c_is_one_message(monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("seglock.stages.profile.list_profiles", stopped)
    done = CliRunner().invoke(app, ["profile", "list"])
    assert (done.exit_code, done.stdout) == (130, "")
    assert done.stderr == "seglock: stopped; run the same command again to continue\n"
