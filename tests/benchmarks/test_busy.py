"""The busy benchmark runs, says what it must, and leaves nothing spinning; never how fast."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.busy import OURS, PLAIN, main, others, rows_of
from tests.processes import children


@pytest.fixture
def started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], set[int]]:
    """Says which processes that this test started there are, and those that they started.

    They inherit a variable; one that has ended, and that nobody waited for, is a child still. The
    servers that other tests left to this process may start and end what they like.
    """
    monkeypatch.setenv("STARTED_FOR", str(tmp_path))
    mark = f"STARTED_FOR={tmp_path}".encode()
    before = set(children(os.getpid()))

    def found() -> set[int]:
        ours = set(children(os.getpid())) - before
        for path in Path("/proc").glob("[0-9]*/environ"):
            with contextlib.suppress(OSError):
                if mark in path.read_bytes().split(b"\0"):
                    ours.add(int(path.parent.name))
        return ours

    return found


def test_a_quick_run_measures_beside_others_and_stops_them(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], started: Callable[[], set[int]]
) -> None:
    main(["--quick", "--out", str(tmp_path)])
    assert not started()
    (path,) = tmp_path.glob("busy-*.json")
    rows = json.loads(path.read_text())["rows"]
    assert [row["name"].partition(": ")[2] for row in rows] == [PLAIN, OURS]
    assert all(row["value"] > 0 for row in rows)
    assert rows[1]["ratio"] == pytest.approx(rows[1]["value"] / rows[0]["value"])
    assert "OMP_WAIT_POLICY=PASSIVE" in capfd.readouterr().err  # it did find the machine busy


def test_others_end_whatever_happens(started: Callable[[], set[int]]) -> None:
    with contextlib.suppress(KeyboardInterrupt), others(2):
        spinning = started()
        raise KeyboardInterrupt
    assert len(spinning) == 2
    assert not started()


def test_others_end_with_the_process_that_started_them() -> None:
    code = (
        "import os, signal, sys\n"
        "from benchmarks.busy import others\n"
        "with others(1):\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    # Its standard output is closed once nobody holds it: the spinning process has ended as well.
    done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, timeout=60)
    assert done.returncode == -signal.SIGKILL


def test_each_figure_stands_beside_torch_as_it_comes() -> None:
    rows = rows_of({PLAIN: 100.0, OURS: 250.0}, "beside 2")
    assert [(row.name, row.ratio) for row in rows] == [
        (f"beside 2: {PLAIN}", None), (f"beside 2: {OURS}", 2.5),
    ]  # fmt: skip
    assert rows[1].reference == f"{PLAIN}, beside 2"
