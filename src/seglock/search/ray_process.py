"""The process that holds the connection to Ray, seen from the coordinator."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
from typing import IO

from seglock.search.channel import Channel, Message
from seglock.search.environment import without_secrets

_CLOSE_SECONDS = 5.0
_LOG_TAIL = 4096


class RayProcess:
    """A running ``seglock.search.ray_driver`` in a session of its own, and the socket to it.

    storage: of the study, whose variables the driver does not get. What Ray prints goes into a
    file without a name, not to the user's terminal.
    """

    def __init__(self, storage: str | None = None) -> None:
        ours, theirs = socket.socketpair()
        self._log: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed by ``end``
        # Tries of a second each, after which an address that refuses us is given up.
        environment = {"RAY_NUM_REDIS_GET_RETRIES": "5"} | without_secrets(os.environ, storage)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "seglock.search.ray_driver", str(theirs.fileno())],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=self._log,
                stderr=self._log,
                pass_fds=[theirs.fileno()],
                start_new_session=True,  # Ctrl-C at the terminal does not reach it
            )
        self._channel = Channel(ours)
        self.ended = False

    @property
    def pid(self) -> int:
        """Its process number."""
        return self._process.pid

    def send(self, message: Message) -> None:
        """Send a message; that the process is gone is found out by ``receive``."""
        with contextlib.suppress(OSError):
            self._channel.send(message)

    def receive(self, timeout: float) -> list[Message]:
        """The messages that came within ``timeout`` seconds; ``ended`` once it is gone."""
        if self.ended or not select.select([self._channel], [], [], max(0.0, timeout))[0]:
            return []
        messages = self._channel.receive()
        self.ended = self._channel.ended
        return messages

    def close(self) -> None:
        """Let it cancel its tasks and disconnect, for a few seconds; then it is killed."""
        self.send({"kind": "close"})
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_CLOSE_SECONDS)
        self.end()

    def end(self) -> str:
        """Kill it, wait for its end, and return the last line that Ray said."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if self._process.returncode is None:  # not reaped: its number is nobody else's
                os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._channel.close()
        self.ended = True
        if self._log.closed:
            return ""
        with self._log as log:
            size = log.seek(0, os.SEEK_END)
            log.seek(max(0, size - _LOG_TAIL))
            text = log.read().decode(errors="replace")
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        return lines[-1] if lines else ""
