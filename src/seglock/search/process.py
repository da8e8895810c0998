"""A process of the coordinator's that ends with it, and the pipe between the two.

Neither a pool of ``concurrent.futures`` nor ``multiprocessing.Process``: both give a process all of
this one's environment, keys and passwords included, its terminal, and the terminal's Ctrl-C.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import IO, Any, NoReturn, Self

Pipe = Connection

_LOG_TAIL = 4096
_PARENT_SECONDS = 0.5


@dataclass
class Process:
    """One that runs, in a session of its own. What it prints goes into a file without a name."""

    pid: int
    pipe: Pipe
    _process: subprocess.Popen[bytes]
    _log: IO[bytes]

    @classmethod
    def start(
        cls, target: Callable[..., None], *arguments: Any, environ: Mapping[str, str]
    ) -> Self:
        """Start ``target(pipe, *arguments)`` in one; raises OSError where the machine refuses."""
        log = tempfile.TemporaryFile()  # noqa: SIM115 - closed by ``end``
        ours, theirs = multiprocessing.Pipe()
        command = [sys.executable, "-P", "-m", __name__, str(os.getpid()), str(theirs.fileno())]
        # The target's name is for who looks at this machine's processes.
        command.append(f"{target.__module__}.{target.__qualname__}")
        try:
            with theirs:
                process = subprocess.Popen(
                    command,
                    env=dict(environ),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    pass_fds=[theirs.fileno()],
                    start_new_session=True,  # Ctrl-C at the terminal does not reach it
                )
        except OSError:
            ours.close()
            log.close()
            raise
        started = cls(process.pid, ours, process, log)
        started.send((target, arguments))
        return started

    def send(self, message: Any) -> None:
        """Send a message. That the process is gone is found out when its end is read."""
        with contextlib.suppress(OSError):
            self.pipe.send(message)

    def end(self, patience: float = 0.0) -> str:
        """Wait ``patience`` seconds, kill it with all that it started, and say how it ended."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            if patience:
                self._process.wait(patience)
        # Not reaped before this: its number, and its group's, can be nobody else's.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        status = self._process.wait()
        self.pipe.close()
        with self._log as log:
            log.seek(max(0, log.seek(0, os.SEEK_END) - _LOG_TAIL))
            words = log.read().decode(errors="replace").split("\n")
        if status >= 0:
            last = [line.strip() for line in words if line.strip()][-1:]
            return ", ".join([f"exit code {status}", *last])
        text = f"killed by {signal.Signals(-status).name}"
        return f"{text}, as when memory runs out" if status == -signal.SIGKILL else text


def main(parent: int, number: int) -> None:
    """In the new process: do as the first message says. It ends with its parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the coordinator's to handle
    threading.Thread(target=_end_without, args=(parent,), daemon=True).start()
    # A copy: the end of the pipe itself is closed by the process's end and not before, so that
    # the coordinator finds out how it ended.
    pipe = Pipe(os.dup(number))
    try:
        target, arguments = pipe.recv()
        target(pipe, *arguments)
    except (EOFError, ConnectionError):  # the parent closed its end, or is gone
        die()


def _end_without(parent: int) -> NoReturn:
    """Also where another process still holds the parent's end of the pipe open."""
    while os.getppid() == parent:
        time.sleep(_PARENT_SECONDS)
    die()


def die() -> NoReturn:
    """End this process and what it started (a ``dvc pull``), at once."""
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(1)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
