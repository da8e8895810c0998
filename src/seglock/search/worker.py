"""A worker process: computes the jobs it is sent, one after the other, and ends with its parent.

Started by `seglock.search.workers.LocalExecutor` as
``python -m seglock.search.worker SOCKET NAME SCRATCH MODULE:FUNCTION``.
"""

from __future__ import annotations

import importlib
import json
import os
import queue
import signal
import socket
import sys
import threading
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from seglock.search.channel import Channel, Message
from seglock.search.executor import TrialJob, TrialResult
from seglock.search.trial import RunTrial, empty, failure

if TYPE_CHECKING:
    from seglock.training import EpochRow

ANSWER_SECONDS = 2.0
"""How long to wait for word whether to go on after an epoch. A stop that comes later is obeyed
after the next one: a coordinator that is busy holds up no worker."""

_PARENT_SECONDS = 2.0


def main(socket_number: int, name: str, scratch: Path, function: str) -> None:
    """Serve until the parent closes its end or dies; never returns."""
    # Ctrl-C at the terminal is the coordinator's to handle.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = os.getppid()
    channel = Channel(socket.socket(fileno=socket_number))
    inbox = Inbox()
    threading.Thread(target=inbox.fill, args=(channel,), daemon=True).start()
    threading.Thread(target=_end_without, args=(parent,), daemon=True).start()
    run = _find(function)
    empty(scratch)
    while True:
        job = inbox.jobs.get()
        channel.send({"kind": "begun", "job": job.id})
        channel.send(_compute(job, run, scratch, name, channel, inbox))


def _compute(
    job: TrialJob, run: RunTrial, scratch: Path, name: str, channel: Channel, inbox: Inbox
) -> Message:
    """One job's last message."""

    def on_epoch(row: EpochRow) -> bool:
        channel.send({"kind": "epoch", "job": job.id, "row": row})
        return inbox.wants_stop(job.id, row["epoch"])

    try:
        result: TrialResult = run(job, scratch=scratch, on_epoch=on_epoch, worker=name)
        return {"kind": "finished", "job": job.id, "result": asdict(result)}
    except Exception as error:  # whatever it is, it is this job's and no other's
        reason, permanent = failure(error)
        return {"kind": "failed", "job": job.id, "reason": reason, "permanent": permanent}


class Inbox:
    """What the coordinator sent, as a thread of its own reads it."""

    def __init__(self) -> None:
        self.jobs: queue.SimpleQueue[TrialJob] = queue.SimpleQueue()
        self._changed = threading.Condition()
        self._answered: dict[str, int] = {}
        self._stopped: set[str] = set()

    def fill(self, channel: Channel) -> NoReturn:
        """Take in messages until the coordinator is gone; then end this process at once."""
        for message in channel:
            self.take(message)
        die()

    def take(self, message: Message) -> None:
        """Take in one message."""
        if message["kind"] == "run":
            self.jobs.put(TrialJob.from_json(json.dumps(message["job"])))
            return
        with self._changed:
            if message["stop"]:
                self._stopped.add(message["job"])
            self._answered[message["job"]] = message["epoch"]
            self._changed.notify_all()

    def wants_stop(self, job: str, epoch: int) -> bool:
        """Whether the job is to stop, as far as the coordinator has said so in time."""
        with self._changed:
            self._changed.wait_for(
                lambda: job in self._stopped or self._answered.get(job, 0) >= epoch,
                timeout=ANSWER_SECONDS,
            )
            return job in self._stopped


def _end_without(parent: int) -> NoReturn:
    """End with the parent also where another of its children still holds the socket open."""
    while os.getppid() == parent:
        time.sleep(_PARENT_SECONDS)
    die()


def die() -> NoReturn:
    """End this process and what it started (a ``dvc pull``), at once."""
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(1)


def _find(function: str) -> RunTrial:
    module, _, name = function.partition(":")
    found: RunTrial = getattr(importlib.import_module(module), name)
    return found


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], Path(sys.argv[3]), sys.argv[4])
