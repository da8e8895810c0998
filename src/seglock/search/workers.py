"""Trials on this machine, several at once, in processes of their own."""

from __future__ import annotations

import os
import selectors
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seglock.search.cards import share_cards
from seglock.search.environment import without_secrets
from seglock.search.executor import Decide, Failed, Finished, Outcome, TrialJob, TrialResult
from seglock.search.in_process import InProcessExecutor
from seglock.search.process import WorkerProcess
from seglock.search.trial import RunTrial, empty, failure, run_trial
from seglock.threads import share_cores

if TYPE_CHECKING:
    from seglock.config import ResourceParams
    from seglock.search.channel import Message

__all__ = ["InProcessExecutor", "LocalExecutor"]


@dataclass
class _Slot:
    """A place for a worker: its process, once there is one, and the job it computes.

    ``handed``: that job, as long as a process that served others has not begun it.

    A place whose disk is full or whose card is lost fails every job as soon as it gets one, and
    would eat up all of them. So it rests until others have finished some: after its first fault
    two, then four, and so on.
    """

    number: int
    worker: WorkerProcess | None = None
    job: str | None = None
    handed: TrialJob | None = None
    faults: int = 0
    resting: int = 0

    def blame(self) -> None:
        """A job failed here for no fault of its own."""
        self.faults += 1
        self.resting = 2**self.faults


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
        self._scratch = scratch
        self._function = f"{run.__module__}:{run.__qualname__}"  # type: ignore[attr-defined]
        self._cards = share_cards(workers, resources.gpus)
        self._slots = [_Slot(number) for number in range(1, workers + 1)]
        self._ended: list[Outcome] = []
        self._selector = selectors.DefaultSelector()
        self._begun = False

    @property
    def free(self) -> int:
        """How many workers may take a job; at least one where none has any."""
        return len(self._ready())

    @property
    def processes(self) -> dict[str, int]:
        """The process number that computes each running job."""
        return {
            slot.job: slot.worker.process.pid for slot in self._slots if slot.job and slot.worker
        }

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
            if slot.worker is not None and slot.worker.is_gone:
                self._end(slot)
        self._hand(min(ready, key=lambda slot: (slot.resting, slot.worker is None)), job)

    def poll(self, decide: Decide, timeout: float) -> list[Outcome]:
        """Wait until a job ends, ``timeout`` seconds at most; answers workers meanwhile."""
        deadline = time.monotonic() + timeout
        while not self._ended and any(slot.job for slot in self._slots):
            ready = self._selector.select(max(0.0, deadline - time.monotonic()))
            for key, _ in ready:
                self._read(key.data, decide)
            if not ready or time.monotonic() >= deadline:
                break
        ended, self._ended = self._ended, []
        return ended

    def close(self) -> None:
        """Kill all workers and wait for their end; jobs that were running never come back."""
        for slot in self._slots:
            slot.job = slot.handed = None
            if slot.worker is not None:
                self._end(slot)
        self._ended.clear()
        if self._begun:
            empty(self._scratch)

    def _ready(self) -> list[_Slot]:
        idle = [slot for slot in self._slots if slot.job is None]
        rested = [slot for slot in idle if not slot.resting]
        # Where all others rest too, waiting for one of them would be for ever.
        return rested if rested or len(idle) < len(self._slots) else idle

    def _hand(self, slot: _Slot, job: TrialJob) -> None:
        slot.handed = None if slot.worker is None else job
        try:
            worker = slot.worker or self._start(slot, job)
        except OSError as error:
            slot.job = None
            slot.blame()
            self._ended.append(Failed(job.id, *failure(error)))
            return
        slot.job = job.id
        worker.run(job)

    def _start(self, slot: _Slot, job: TrialJob) -> WorkerProcess:
        storage = job.params.get("search", {}).get("storage")
        environment = without_secrets(os.environ, storage)
        share_cores(environment, len(self._slots))
        # A device that params.yaml names by its number is the user's choice, for all workers.
        if self._cards and job.params.get("train", {}).get("device") in ("auto", "cuda"):
            environment["CUDA_VISIBLE_DEVICES"] = self._cards[slot.number - 1]
        scratch = self._scratch / f"worker-{slot.number}"
        name = f"local-{slot.number}"
        slot.worker = WorkerProcess.start(name, scratch, self._function, environment)
        self._selector.register(slot.worker.channel, selectors.EVENT_READ, slot)
        return slot.worker

    def _end(self, slot: _Slot) -> str:
        assert slot.worker is not None
        self._selector.unregister(slot.worker.channel)
        how = slot.worker.end()
        slot.worker = None
        empty(self._scratch / f"worker-{slot.number}")
        return how

    def _read(self, slot: _Slot, decide: Decide) -> None:
        """Take in what one worker sent, and its death after it."""
        assert slot.worker is not None
        worker = slot.worker
        # The end of a job first: what ``decide`` raises must not lose one.
        epochs = [m for m in worker.channel.receive() if not self._take(slot, m)]
        for message in epochs:
            row = message["row"]
            stop = decide(message["job"], row)
            worker.answer(message["job"], row["epoch"], stop=stop)
        if worker.channel.ended:
            how = self._end(slot)
            if slot.handed is not None:  # it died idle, which was not to be seen when it got this
                self._hand(slot, slot.handed)
            elif slot.job is not None:
                reason = f"worker {worker.name} ended before its job did: {how}"
                self._ended.append(Failed(slot.job, reason, permanent=False))
                slot.job = None

    def _take(self, slot: _Slot, message: Message) -> bool:
        """Take in that a job has begun, or its last message; False for any other."""
        if message["kind"] == "epoch":
            return False
        slot.handed = None
        if message["kind"] == "begun":
            return True
        job: str = message["job"]
        slot.job = None
        if message["kind"] == "failed":
            self._ended.append(Failed(job, message["reason"], message["permanent"]))
            if not message["permanent"]:
                slot.blame()
            return True
        self._ended.append(Finished(job, _result(message["result"])))
        slot.faults = 0
        for other in self._slots:
            other.resting = 0 if other is slot else max(0, other.resting - 1)
        return True


def _result(values: dict[str, Any]) -> TrialResult:
    return TrialResult(**values | {"curve": tuple(values["curve"])})
