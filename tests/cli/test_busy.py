"""Commands that compute look first whether the machine is busy; the others never."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from seglock import threads
from seglock.cli.app import app
from seglock.errors import SeglockError


@pytest.fixture(autouse=True)
def _busy_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty folder on a busy machine."""
    for name in threads.CHOICES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(threads, "busy_cores", lambda seconds: 2.0)
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    "command", ["train --lock np-4", "evaluate --lock np-4", "attack --lock np-4", "search"]
)
def test_what_computes_gives_way_before_it_begins(command: str) -> None:
    done = CliRunner().invoke(app, command.split())
    assert isinstance(done.exception, SeglockError)  # there is no project: nothing was begun
    assert "busy machine: others use 2.0 of" in done.stderr
    assert os.environ["OMP_WAIT_POLICY"] == "PASSIVE"


@pytest.mark.parametrize("command", ["train --help", "key list", "search --show"])
def test_what_computes_nothing_says_nothing(command: str) -> None:
    done = CliRunner().invoke(app, command.split())
    assert "busy" not in done.output
    assert "OMP_WAIT_POLICY" not in os.environ
