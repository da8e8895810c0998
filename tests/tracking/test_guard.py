"""The guard ends the runs of a process that was killed, and of no other."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from pathlib import Path
from typing import Any

from seglock.config import TrackingParams
from seglock.tracking import Journal, list_runs, open_run, tracking_uri
from seglock.tracking.guard import SESSION, Guard, end_children, end_runs
from tests.tracking.conftest import client_of

PARAMS = TrackingParams(timeout_seconds=30.0)


def begin(root: Path, session: str, name: str, **tags: str) -> Any:
    return open_run(PARAMS, name=name, tags={SESSION: session, **tags}, root=root)


def status(root: Path, run_id: str) -> str:
    return str(client_of(tracking_uri(root)).get_run(run_id).info.status)


def work(root: str, ready: Any, session: str) -> None:
    """A process with two runs, one of which its journal has forgotten."""
    import shutil

    guard = Guard(session, root=Path(root), params=PARAMS, folder=Path(root) / "work")
    ids = [begin(Path(root), session, name).run_id for name in ("kept", "forgotten")]
    shutil.rmtree(Journal.at(Path(root), ids[1]).folder)
    ready.put(ids)
    assert guard
    time.sleep(300)


def test_the_runs_of_a_killed_process_are_ended(tmp_path: Path) -> None:
    other = begin(tmp_path, "another", "other")
    context = multiprocessing.get_context("spawn")
    ready = context.Queue()
    process = context.Process(target=work, args=(str(tmp_path), ready, "mine"))
    process.start()
    ids = ready.get(timeout=120)
    assert [status(tmp_path, run_id) for run_id in ids] == ["RUNNING", "RUNNING"]
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    deadline = time.monotonic() + 120
    while "RUNNING" in [status(tmp_path, run_id) for run_id in ids]:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert [status(tmp_path, run_id) for run_id in ids] == ["KILLED", "KILLED"]
    assert status(tmp_path, other.run_id) == "RUNNING"
    # The next process waits until the first one's guard has done; then nothing is left to do.
    Guard("next", root=tmp_path, params=PARAMS, folder=tmp_path / "work").dismiss()
    assert {run.name: run.ended for run in list_runs(tmp_path)} == {"kept": True, "other": False}
    other.close()


def test_a_guard_that_is_dismissed_ends_nothing(tmp_path: Path) -> None:
    guard = Guard("mine", root=tmp_path, params=PARAMS, folder=tmp_path / "work")
    run = begin(tmp_path, "mine", "run")
    guard.dismiss()
    assert guard._process.returncode == 0
    assert status(tmp_path, run.run_id) == "RUNNING"
    # What a guard does, called by hand: by session, and by parent.
    assert end_runs(tmp_path, PARAMS.experiment, 30.0, session="another") == 0
    assert end_children(tmp_path, 30.0, "none") == 0
    child = begin(tmp_path, "another", "child", **{"mlflow.parentRunId": run.run_id})
    assert end_children(tmp_path, 30.0, run.run_id) == 1
    assert status(tmp_path, child.run_id) == "KILLED"
    run.close()
    child.close("KILLED")
