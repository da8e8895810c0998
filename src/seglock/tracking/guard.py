"""Ends a killed process's runs: a small process of its own that outlives it.

It is started before the first run is made, waits on a pipe, and imports mlflow only when the pipe
closes without a goodbye. Runs are found by the tag that the dead process gave them, so that one
made a moment before the kill is found too.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import filelock

from seglock.errors import SeglockError

if TYPE_CHECKING:
    from seglock.config import TrackingParams

SESSION = "seglock.session"
GOODBYE = b"goodbye\n"
WAIT = 120.0  # seconds for the guard of an earlier process to come to its end
LOOK_SECONDS = 0.1
SETTLE_SECONDS = 1.0  # a server may still be making a run that was asked for before the kill


@dataclass(frozen=True)
class _Task:
    root: str
    experiment: str
    timeout: float
    session: str
    lock: str


class Guard:
    """Watches this process. ``session`` must be the tag ``seglock.session`` of each of its runs.

    folder: holds the lock that keeps a second process from beginning while the guard of the first
    still ends its runs. sleep: waits for that one, a moment at a time; what it raises is let
    through.
    """

    def __init__(
        self,
        session: str,
        *,
        root: Path,
        params: TrackingParams,
        folder: Path,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        lock = folder / ".guard.lock"
        _wait_until_free(lock, sleep)
        task = _Task(
            str(Path(root).resolve()),
            params.experiment,
            params.timeout_seconds,
            session,
            str(lock),
        )
        # A session of its own: Ctrl-C and a kill of the group are for the process it watches.
        self._process = subprocess.Popen(
            [sys.executable, "-m", "seglock.tracking.guard"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            env=_without_secrets(),
        )
        self._write(json.dumps(asdict(task)).encode() + b"\n")

    def dismiss(self) -> None:
        """All runs are ended: the guard has nothing to do."""
        self._write(GOODBYE)
        with contextlib.suppress(OSError):
            assert self._process.stdin is not None
            self._process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=10)

    def _write(self, line: bytes) -> None:
        with contextlib.suppress(OSError):  # a guard that was killed guards nothing
            assert self._process.stdin is not None
            self._process.stdin.write(line)
            self._process.stdin.flush()


def _wait_until_free(lock: Path, sleep: Callable[[float], None]) -> None:
    until = time.monotonic() + WAIT
    while time.monotonic() < until:
        with contextlib.suppress(filelock.Timeout), filelock.FileLock(lock, timeout=0):
            return
        sleep(LOOK_SECONDS)


def _without_secrets() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if "SEGLOCK_KEY_" not in name}


def watch(pipe: Any) -> None:
    """The guard's own life: learn the task, wait, and end what was left."""
    first = pipe.readline()
    if not first.endswith(b"\n"):
        return
    task = _Task(**json.loads(first))
    with filelock.FileLock(task.lock, timeout=WAIT):
        for line in pipe:
            if line == GOODBYE:
                return
        end_runs(Path(task.root), task.experiment, task.timeout, session=task.session)


def end_runs(root: Path, experiment: str, timeout: float, *, session: str) -> int:
    """End as KILLED every run tagged with ``session``; returns how many were running."""
    return _end_journals(root, experiment, timeout, session) + _end_found(
        root, timeout, {SESSION: session}
    )


def end_children(root: Path, timeout: float, parent: str) -> int:
    """End as KILLED the running children of a run, whichever process made them."""
    return _end_found(root, timeout, {"mlflow.parentRunId": parent})


def _end_journals(root: Path, experiment: str, timeout: float, session: str) -> int:
    """Runs with a journal: its end is noted there too, and what was not sent yet is sent."""
    from seglock.config import TrackingParams
    from seglock.tracking.journal import Journal, runs_folder
    from seglock.tracking.sync import sync_run

    ended = 0
    params = TrackingParams(experiment=experiment, timeout_seconds=timeout)
    for file in runs_folder(root).glob("*/run.json"):
        with contextlib.suppress(SeglockError, OSError):
            journal = Journal(file.parent)
            # In the header of a run that was begun, in an entry of one that was taken up.
            if session in file.read_text("utf-8") or session in _text(journal.file):
                was_ended = journal.ended
                if not was_ended or journal.pending():
                    sync_run(journal.run_id, root=root, params=params)
                    ended += not was_ended
    return ended


def _text(file: Path) -> str:
    """A journal, which a run does not have in its first moment."""
    return file.read_text("utf-8", "replace") if file.exists() else ""


def _end_found(root: Path, timeout: float, tags: dict[str, str]) -> int:
    """Running runs that the store knows by their tags; looked for until none is left."""
    from seglock.tracking.address import tracking_uri
    from seglock.tracking.store import Store

    store = Store(tracking_uri(root), timeout=timeout)
    ended = 0
    with contextlib.suppress(SeglockError):
        while found := _running(store, tags):
            for run_id in found:
                with store.calls() as client:
                    client.set_terminated(run_id, "KILLED")
                ended += 1
            time.sleep(SETTLE_SECONDS)
    return ended


def _running(store: Any, tags: dict[str, str]) -> list[str]:
    store.check()
    wanted = [f"tags.`{name}` = '{value}'" for name, value in tags.items()]
    text = " and ".join([*wanted, "attributes.status = 'RUNNING'"])
    with store.calls() as client:
        everywhere = [found.experiment_id for found in client.search_experiments()]
        return [str(run.info.run_id) for run in client.search_runs(everywhere, filter_string=text)]


if __name__ == "__main__":
    watch(sys.stdin.buffer)
