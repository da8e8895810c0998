"""Studies whose trials are a formula, to be run and killed by the hundred.

``command`` is what a child process runs: one coordinator, as ``seglock search`` would.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import random
import signal
import sqlite3
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from multiprocessing import forkserver
from pathlib import Path
from typing import Any

from seglock.config import Params
from seglock.search.executor import Decide, Failed, Finished, Outcome, TrialJob, TrialResult
from seglock.search.observer import Observer
from tests.search.project import small_params

FLOOR = 0.2
AWAY = "http://127.0.0.1:9"  # a tracking server that refuses at once


def study_params(trials: int = 6, **search: Any) -> Params:
    """A study of the small project: 3 methods at 4 block sides, without early stopping."""
    space = {"steps": ["shf", "np", "ffx"], "block_size": [2, 4, 8, 16]}
    values = {"study": "small", "trials": trials, "space": space, "pruner": "none"}
    values |= {"baseline_seeds": 2, "sampler": "random"}
    tracking = {"required": False, "timeout_seconds": 5.0}
    return small_params(search=values | search, tracking=tracking)


def curve(name: str, epochs: int) -> list[float]:
    """Validation mean IoU after each epoch, from a name: a number between 0.3 and 0.6 at last."""
    end = 0.3 + 0.3 * hashlib.sha256(name.encode()).digest()[0] / 255
    return [end * (epoch + 1) / epochs for epoch in range(epochs)]


def result_of(job: TrialJob, curve: list[float], scores: bool = True) -> TrialResult:
    """What a worker would give back."""
    rows = tuple(
        {"epoch": i + 1, "lr": 0.1, "train_loss": 1.0, "val_loss": 1.0, "val_miou": value}
        for i, value in enumerate(curve)
    )
    lock = bool(job.steps)
    found: dict[str, Any] = {
        "floors": {"constant": FLOOR, "prior": 0.1, "floor": FLOOR},
        "owner_miou": curve[-1],
        "plain": {"miou": FLOOR if lock else curve[-1]},
        "plain_bn": {"miou": FLOOR + 0.01} if lock else None,
        "incorrect": {"mean": FLOOR, "p95": FLOOR + 0.02} if lock else None,
        "unauthorised": FLOOR + 0.02 if lock else None,
        "regained": 0.02 / (curve[-1] - FLOOR) if lock else None,
    }
    return TrialResult(
        job=job.id, scores=found if scores else None, curve=rows,
        stopped_at=None if scores else len(curve), key_id="ab" * 8 if lock else None,
        key_hash="$argon2id$x" if lock else None, key_space_bits=9.5 if lock else None,
        best_epoch=len(curve), train_seconds=0.01, evaluate_seconds=0.01, device="cpu",
        worker="fake",
    )  # fmt: skip


@dataclass
class FakeExecutor:
    """Computes jobs by a formula, ``seconds`` each, ``workers`` at a time, in this process.

    ``fails`` answers (job, how many came before) with a Failed, or None for a result.
    """

    workers: int = 1
    seconds: float = 0.0
    fails: Callable[[TrialJob, int], Failed | None] = lambda job, before: None
    curve: Callable[[TrialJob], list[float]] | None = None
    jobs: list[TrialJob] = field(default_factory=list)
    seen: list[TrialJob] = field(default_factory=list)
    closed: int = 0

    @property
    def free(self) -> int:
        return self.workers - len(self.jobs)

    def submit(self, job: TrialJob) -> None:
        assert self.free > 0
        self.jobs.append(job)

    def poll(self, decide: Decide, timeout: float) -> list[Outcome]:
        assert self.jobs, "the coordinator waits for nothing"
        time.sleep(self.seconds)
        # Not in the order they came: the last of those at work ends first.
        job = self.jobs.pop(random.randrange(len(self.jobs)))
        self.seen.append(job)
        failed = self.fails(job, len(self.seen) - 1)
        if failed is not None:
            return [failed]
        return [Finished(job.id, self._run(job, decide))]

    def _run(self, job: TrialJob, decide: Decide) -> TrialResult:
        name = "/".join(job.steps) or f"baseline-{job.params['train']['seed']}"
        values = self.curve(job) if self.curve else curve(name, job.params["train"]["epochs"])
        whole = result_of(job, values)
        for index, row in enumerate(whole.curve):
            if decide(job.id, row):
                return result_of(job, values[: index + 1], scores=False)
        return whole

    def close(self) -> None:
        self.closed += 1
        self.jobs.clear()


class Silent(Observer):
    """Keeps what it was told."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.ended: list[Any] = []

    def say(self, message: str) -> None:
        self.said.append(message)

    def job_ended(self, job: str, record: Any) -> None:
        self.ended.append((job, record))


def run(root: Path, executor: FakeExecutor | None = None, **search: Any) -> Any:
    """Run a study in this process; its outcome."""
    from seglock.search.coordinator import run_search

    params = study_params(**search)
    return run_search(params, root, executor=executor or FakeExecutor(), observer=Silent())


def without_waiting_for_the_disk() -> None:
    """From here on SQLite leaves it to the system when it writes: a killed process loses nothing
    by that, and a commit takes a tenth of the time."""
    import sqlalchemy

    @sqlalchemy.event.listens_for(sqlalchemy.Engine, "connect")
    def connected(connection: Any, _: Any) -> None:
        if isinstance(connection, sqlite3.Connection):
            connection.execute("PRAGMA synchronous = OFF")


def not_judged(*_: Any, **__: Any) -> tuple[None, str]:
    """In the place of `seglock.search.importance`, whose forests cost more than a small study."""
    return None, "not judged"


def command(root: str, options: dict[str, Any]) -> None:
    """One coordinator from start to end. ``crash``: where it kills itself, and how often not."""
    os.chdir(root)
    os.environ.clear()
    os.environ |= options["environment"] | {"MLFLOW_TRACKING_URI": AWAY}
    if options.get("tracked"):
        del os.environ["MLFLOW_TRACKING_URI"]
    sys.stderr = (Path(root) / "stderr.txt").open("a", encoding="utf-8")
    from seglock.search import coordinator, ledger, loop, outcome

    without_waiting_for_the_disk()
    outcome.importances = not_judged
    crash, count = options.get("crash", (None, 0))
    left = iter(range(count, -1, -1))

    def kill() -> None:
        if next(left, 0) == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    if crash == "copy":
        ledger.between_copy_and_failure = kill
    if crash == "result":
        loop.between_result_and_tell = kill
    if crash == "told":
        from seglock.search.mlflow_runs import StudyRuns

        StudyRuns.end_trial = lambda *_: kill()  # type: ignore[method-assign]
    executor = FakeExecutor(options.get("workers", 2), options.get("seconds", 0.0))
    coordinator.run_search(
        study_params(**options.get("search", {})),
        Path(root),
        executor=executor,
        observer=Silent() if options.get("silent", True) else None,
    )


CHILDREN = multiprocessing.get_context("forkserver")
CHILDREN.set_forkserver_preload(["tests.search.preload"])


def start(root: Path, **options: Any) -> Any:
    """Run ``command`` in a process of its own, which has this one's environment."""
    # Its own would be that of the first test that needed the server of forks.
    options["environment"] = dict(os.environ)
    # The server of forks imports from the environment's path, not from this process' own.
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = str(Path(__file__).parents[2])
    forkserver.ensure_running()
    os.environ.pop("PYTHONPATH")
    if before is not None:
        os.environ["PYTHONPATH"] = before
    child = CHILDREN.Process(target=command, args=(str(root), options))
    child.start()
    return child


def finish(root: Path, **options: Any) -> int | None:
    """Run ``command`` to its end; its exit code, negative for a signal."""
    child = start(root, **options)
    child.join(timeout=60)
    assert child.exitcode is not None, "it hangs"
    return child.exitcode


def kill(child: Any) -> None:
    """kill -9, and wait until it is gone."""
    if child.pid is not None and child.exitcode is None:
        os.kill(child.pid, signal.SIGKILL)
    child.join(timeout=30)


def jobs_twice(names: Iterable[str]) -> list[str]:
    """Names that come more than once."""
    listed = list(names)
    return [name for name in set(listed) if listed.count(name) > 1]
