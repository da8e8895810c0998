"""Trials on this machine, several at once, in processes of their own."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import wait
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from seglock.search.executor import ANSWER_SECONDS, Decide, Failed, Finished, Outcome, TrialJob
from seglock.search.in_process import InProcessExecutor, outcome_of
from seglock.search.process import Pipe, Process
from seglock.search.trial import RunTrial, empty, failure, run_trial
from seglock.threads import share_cards, share_cores
from seglock.variables import without_secrets

if TYPE_CHECKING:
    from seglock.config import ResourceParams
    from seglock.training import EpochRow

__all__ = ["InProcessExecutor", "LocalExecutor"]

BEGUN = "begun"


@dataclass
class _Slot:
    """A place for a worker: its process, once there is one, and the job it computes.

    ``handed``: that job, as long as a process that served others has not begun it.

    A place whose disk is full or whose card is lost fails every job as soon as it gets one, and
    would eat up all of them. So it rests until others have finished some: after its first fault
    two, then four, and so on.
    """

    name: str
    scratch: Path
    card: str
    process: Process | None = None
    job: str | None = None
    handed: TrialJob | None = None
    faults: int = 0
    resting: int = 0

    def blame(self) -> None:
        """A job failed here for no fault of its own."""
        self.faults += 1
        self.resting = 2**self.faults

    def end(self) -> str:
        """Kill its process and clear up after it; how it ended."""
        assert self.process is not None
        how = self.process.end()
        self.process = None
        empty(self.scratch)
        return how


class LocalExecutor:
    """Computes up to ``workers`` jobs at once, each in a process that serves many.

    Processes start with the first job they get. One that dies takes its own job with it and is
    replaced; a job that an idle one had not begun when it died is its successor's. All of them end
    with this process, however it ends. Each has an equal share of the cores (unless
    ``OMP_NUM_THREADS`` is set; see `seglock.threads`), of the CUDA devices where there are several,
    and a folder ``worker-N`` of its own under ``scratch``, which the first job empties.

    Raises ConfigError when so many workers do not fit this machine's devices.
    """

    def __init__(
        self,
        workers: int,
        *,
        scratch: Path,
        resources: ResourceParams,
        run: RunTrial = run_trial,
    ) -> None:
        cards = share_cards(workers, resources.gpus) or [""] * workers
        self._scratch = scratch
        self._run = run
        self._slots = [
            _Slot(f"local-{number}", scratch / f"worker-{number}", card)
            for number, card in enumerate(cards, 1)
        ]
        self._ended: list[Outcome] = []
        self._begun = False

    @property
    def free(self) -> int:
        """How many workers may take a job; at least one where none has any."""
        return len(self._ready())

    @property
    def processes(self) -> dict[str, int]:
        """The process number that computes each running job."""
        return {slot.job: slot.process.pid for slot in self._slots if slot.job and slot.process}

    def submit(self, job: TrialJob) -> None:
        """Send a job to a worker that is free, by preference one that runs already.

        A worker that this machine refuses to start fails the job. Raises RuntimeError where none is
        free: ask ``free`` first.
        """
        ready = self._ready()
        if not ready:
            raise RuntimeError(f"none of the {len(self._slots)} workers is free")
        if not self._begun:
            self._begun = True
            empty(self._scratch)
        for slot in ready:
            if slot.process is not None and _is_gone(slot.process):
                slot.end()
        self._hand(min(ready, key=lambda slot: (slot.resting, slot.process is None)), job)

    def poll(self, decide: Decide, timeout: float) -> list[Outcome]:
        """Wait until a job ends, ``timeout`` seconds at most; answers workers meanwhile."""
        deadline = time.monotonic() + timeout
        while not self._ended:
            busy: dict[Any, _Slot] = {
                slot.process.pipe: slot for slot in self._slots if slot.job and slot.process
            }
            ready = wait(list(busy), max(0.0, deadline - time.monotonic())) if busy else []
            for pipe in ready:
                self._read(busy[pipe], decide)
            if not ready or time.monotonic() >= deadline:
                break
        ended, self._ended = self._ended, []
        return ended

    def close(self) -> None:
        """Kill all workers and wait for their end; jobs that were running never come back."""
        for slot in self._slots:
            slot.job = slot.handed = None
            if slot.process is not None:
                slot.end()
        self._ended.clear()
        if self._begun:
            empty(self._scratch)

    def _ready(self) -> list[_Slot]:
        idle = [slot for slot in self._slots if slot.job is None]
        rested = [slot for slot in idle if not slot.resting]
        # Where all others rest too, waiting for one of them would be for ever.
        return rested if rested or len(idle) < len(self._slots) else idle

    def _hand(self, slot: _Slot, job: TrialJob) -> None:
        slot.job, slot.handed = job.id, job if slot.process else None
        try:
            slot.process = slot.process or self._start(slot, job)
        except OSError as error:
            slot.job = None
            slot.blame()
            self._ended.append(Failed(job.id, *failure(error)))
        else:
            slot.process.send(job)

    def _start(self, slot: _Slot, job: TrialJob) -> Process:
        environ = without_secrets(os.environ, job.params.get("search", {}).get("storage"))
        share_cores(environ, len(self._slots))
        # A device that params.yaml names by its number is the user's choice, for all workers.
        if slot.card and job.params.get("train", {}).get("device") in ("auto", "cuda"):
            environ["CUDA_VISIBLE_DEVICES"] = slot.card
        slot.scratch.mkdir(parents=True, exist_ok=True)
        return Process.start(serve, slot.name, slot.scratch, self._run, environ=environ)

    def _read(self, slot: _Slot, decide: Decide) -> None:
        """Take in one message of a worker, or its death."""
        assert slot.process is not None
        try:
            message = slot.process.pipe.recv()
        except (EOFError, OSError):
            self._died(slot)
            return
        slot.handed = None
        if isinstance(message, Finished | Failed):
            slot.job = None
            self._ended.append(message)
            self._rest(slot, message)
        elif message != BEGUN:
            job, row = message
            slot.process.send((job, row["epoch"], decide(job, row)))

    def _died(self, slot: _Slot) -> None:
        how = slot.end()
        if slot.handed is not None:  # it died idle, which was not to be seen when it got this
            self._hand(slot, slot.handed)
        elif slot.job is not None:
            reason = f"worker {slot.name} ended before its job did: {how}"
            self._ended.append(Failed(slot.job, reason, permanent=False))
            slot.job = None

    def _rest(self, slot: _Slot, outcome: Outcome) -> None:
        """Let a slot rest after a fault, and others less after a success of this one."""
        if isinstance(outcome, Finished):
            slot.faults = 0
            for other in self._slots:
                other.resting = 0 if other is slot else max(0, other.resting - 1)
        elif not outcome.permanent:
            slot.blame()


def _is_gone(process: Process) -> bool:
    """Whether a process that has nothing to do died: it sends nothing but its end."""
    return process.pipe.poll()


def serve(pipe: Pipe, name: str, scratch: Path, run: RunTrial) -> NoReturn:
    """In a worker: compute the jobs that come, one after the other, until the pipe is closed."""
    empty(scratch)
    while True:
        job = pipe.recv()
        if isinstance(job, TrialJob):  # otherwise an answer that came too late
            pipe.send(BEGUN)
            told = partial(ask, pipe, job.id)
            found = partial(run, job, scratch=scratch, on_epoch=told, worker=name)
            pipe.send(outcome_of(job.id, found))


def ask(pipe: Pipe, job: str, row: EpochRow) -> bool:
    """In a worker, after an epoch: whether the job stops, as far as that is known in time."""
    pipe.send((job, row))
    deadline = time.monotonic() + ANSWER_SECONDS
    while pipe.poll(max(0.0, deadline - time.monotonic())):
        answered, epoch, stop = pipe.recv()
        if answered == job and (stop or epoch == row["epoch"]):
            return bool(stop)
    return False
