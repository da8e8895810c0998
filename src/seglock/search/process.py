"""One worker process, seen from the coordinator."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from seglock.search.channel import Channel
from seglock.search.executor import TrialJob

_LOG_TAIL = 4096


@dataclass
class WorkerProcess:
    """A running ``seglock.search.worker`` in a session of its own, and the socket to it."""

    name: str
    process: subprocess.Popen[bytes]
    channel: Channel
    log: Path

    @classmethod
    def start(cls, name: str, scratch: Path, function: str, environment: Mapping[str, str]) -> Self:
        """Start one; raises OSError where the machine refuses.

        ``scratch`` is the worker's own folder; what it prints goes into a file beside it.
        """
        scratch.mkdir(parents=True, exist_ok=True)
        log = scratch.with_name(f"{scratch.name}.log")
        ours, theirs = socket.socketpair()
        command = [sys.executable, "-P", "-m", "seglock.search.worker"]
        command += [str(theirs.fileno()), name, str(scratch), function]
        try:
            with theirs, log.open("wb") as output:
                process = subprocess.Popen(
                    command,
                    env=dict(environment),
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    pass_fds=[theirs.fileno()],
                    start_new_session=True,  # Ctrl-C at the terminal does not reach it
                )
        except OSError:
            ours.close()
            raise
        return cls(name, process, Channel(ours), log)

    @property
    def is_gone(self) -> bool:
        """Whether it died while it had nothing to do: an idle one sends nothing but its end."""
        readable, _, _ = select.select([self.channel], [], [], 0)
        if readable:
            self.channel.receive()
        return self.channel.ended

    def run(self, job: TrialJob) -> None:
        """Send a job. That the worker is gone is found out when its end is read."""
        with contextlib.suppress(OSError):
            self.channel.send({"kind": "run", "job": asdict(job)})

    def answer(self, job: str, epoch: int, *, stop: bool) -> None:
        """Say after an epoch whether to stop."""
        with contextlib.suppress(OSError):
            self.channel.send({"kind": "answer", "job": job, "epoch": epoch, "stop": stop})

    def end(self) -> str:
        """Kill it with all that it started, wait, and say how it ended, in words."""
        # Not reaped before this: its number, and its group's, can be nobody else's.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        status = self.process.wait()
        self.channel.close()
        if status >= 0:
            return f"exit code {status}{self._last_words()}"
        text = f"killed by {signal.Signals(-status).name}"
        return f"{text}, as when memory runs out" if status == -signal.SIGKILL else text

    def _last_words(self) -> str:
        with contextlib.suppress(OSError):
            lines = self.log.read_bytes()[-_LOG_TAIL:].decode(errors="replace").split("\n")
            if last := [line.strip() for line in lines if line.strip()]:
                return f", {last[-1]}"
        return ""
