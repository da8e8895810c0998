"""Lines of progress in a pipe: soon, then seldom, with the time left."""

from __future__ import annotations

import pytest

from seglock import progress as module
from seglock.progress import ProgressLines


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    return now


def told(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().err.splitlines()


def test_what_takes_long_is_told_ever_more_seldom(clock, capsys) -> None:
    lines = ProgressLines()
    for second in range(1001):
        clock[0] = 100.0 + second
        lines("checking", second, 1000)
    said = told(capsys)
    assert said[0] == "checking: 0%, 0:16:37 left"
    assert said[1:4] == [
        "checking: 1%, 0:16:34 left", "checking: 1%, 0:16:28 left", "checking: 2%, 0:16:16 left"
    ]  # fmt: skip
    assert len(said) < 25


def test_the_pace_is_that_of_this_process(clock, capsys) -> None:
    """What an earlier one had done counts for how far it is, and not for how fast."""
    lines = ProgressLines()
    lines("training", 900, 1000)
    clock[0] += 10
    lines("training", 910, 1000)
    assert told(capsys) == ["training: 91%, 0:01:30 left"]


def test_what_is_quick_or_has_no_end_is_not_told(clock, capsys) -> None:
    lines = ProgressLines()
    for done in range(11):
        lines("quick", done, 10)
        clock[0] += 0.1
    clock[0] += 60
    lines("endless", 1, None)
    clock[0] += 60
    lines("endless", 2, None)
    assert told(capsys) == []


def test_another_line_stands_for_one(clock, capsys) -> None:
    lines = ProgressLines()
    lines("training", 0, 100)
    for done in range(1, 40):
        clock[0] += 1
        lines("training", done, 100)
        lines.heard()
    assert told(capsys) == []
