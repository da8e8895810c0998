"""A process of the coordinator's that ends with it, and the pipe to it.

Neither a pool of ``concurrent.futures`` nor ``multiprocessing.Process``: both give a process the
whole environment of this one, keys and passwords included, and the terminal's Ctrl-C.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NoReturn, Self

Pipe = Connection

_LOG_TAIL = 4096
_PARENT_SECONDS = 0.5


@dataclass
class Process:
    """A running module, in a session of its own; what it prints goes into the file ``log``."""

    pid: int
    pipe: Pipe
    log: Path
    _process: subprocess.Popen[bytes]

    @classmethod
    def start(cls, module: str, *arguments: str, environ: Mapping[str, str], log: Path) -> Self:
        """Start one; raises OSError where the machine refuses.

        The module calls `connect` first.
        """
        ours, theirs = multiprocessing.Pipe()
        numbers = [str(os.getpid()), str(theirs.fileno())]
        try:
            with theirs, log.open("wb") as output:
                process = subprocess.Popen(
                    [sys.executable, "-P", "-m", module, *numbers, *arguments],
                    env=dict(environ),
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    pass_fds=[theirs.fileno()],
                    start_new_session=True,  # Ctrl-C at the terminal does not reach it
                )
        except OSError:
            ours.close()
            raise
        return cls(process.pid, ours, log, process)

    def send(self, message: Any) -> None:
        """Send a message. That the process is gone is found out when its end is read."""
        with contextlib.suppress(OSError):
            self.pipe.send(message)

    def end(self) -> str:
        """Kill it with all that it started, wait, and say how it ended, in words."""
        # Not reaped before this: its number, and its group's, can be nobody else's.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        status = self._process.wait()
        self.pipe.close()
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


def connect() -> tuple[Pipe, list[str]]:
    """In the new process: its end of the pipe, and its arguments. It ends with its parent."""
    # Ctrl-C at the terminal is the coordinator's to handle.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent, number, *arguments = sys.argv[1:]
    threading.Thread(target=_end_without, args=(int(parent),), daemon=True).start()
    # A copy: the end of the pipe itself is closed by the process's end, not before, so that the
    # coordinator finds out how it ended.
    return Connection(os.dup(int(number))), arguments


def _end_without(parent: int) -> NoReturn:
    while os.getppid() == parent:
        time.sleep(_PARENT_SECONDS)
    die()


def die() -> NoReturn:
    """End this process and what it started (a ``dvc pull``), at once."""
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(1)
