"""Trials one after the other in the coordinator's own process."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from seglock.search.executor import Decide, Failed, Finished, Outcome, TrialJob, TrialResult
from seglock.search.trial import RunTrial, empty, failure, run_trial

if TYPE_CHECKING:
    from seglock.training import EpochRow


def outcome_of(job: str, run: Callable[[], TrialResult]) -> Outcome:
    """What ``run`` finds, in whatever process this is, or why the job has no result."""
    try:
        return Finished(job, run())
    except Exception as error:  # whatever it is, it is this job's and no other's
        return Failed(job, *failure(error))


class InProcessExecutor:
    """Computes one job at a time here, inside ``poll``. Start-up is paid once.

    ``scratch`` is emptied by the first job: who submits one holds the study, so what is in it was
    left by the dead.
    """

    def __init__(self, *, scratch: Path, run: RunTrial = run_trial) -> None:
        self._scratch = scratch
        self._run = run
        self._jobs: deque[TrialJob] = deque()
        self._begun = False

    @property
    def free(self) -> int:
        """1 until a job was submitted that has not been computed."""
        return 1 - len(self._jobs)

    def submit(self, job: TrialJob) -> None:
        """Take a job; ``poll`` computes it."""
        if not self._begun:
            self._begun = True
            empty(self._scratch)
        self._jobs.append(job)

    def poll(self, decide: Decide, timeout: float) -> list[Outcome]:  # noqa: ARG002
        """Compute one job to its end. What ``decide`` raises ends it without an outcome."""
        if not self._jobs:
            return []
        job = self._jobs.popleft()

        raised: list[Exception] = []  # no error of the job's

        def on_epoch(row: EpochRow) -> bool:
            try:
                return decide(job.id, row)
            except Exception as error:
                raised.append(error)
                return True

        def run() -> TrialResult:
            return self._run(job, scratch=self._scratch, on_epoch=on_epoch, worker="in-process")

        outcome = outcome_of(job.id, run)
        if raised:
            raise raised[0]
        return [outcome]

    def close(self) -> None:
        """Forget what was submitted."""
        self._jobs.clear()
