"""Messages between the coordinator and a worker process: JSON, one a line, over a socket."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from typing import Any

_PIECE = 1 << 16

Message = dict[str, Any]


class Channel:
    """One end of a connected pair of stream sockets.

    >>> one, other = (Channel(end) for end in socket.socketpair())
    >>> one.send({"kind": "run"})
    >>> other.receive()
    [{'kind': 'run'}]
    >>> one.close()
    >>> other.receive(), other.ended
    ([], True)
    >>> other.close()
    """

    def __init__(self, end: socket.socket) -> None:
        self._socket = end
        self._rest = b""
        self.ended = False
        """The other end is closed, by its process or because that process died."""

    def fileno(self) -> int:
        """For ``select``."""
        return self._socket.fileno()

    def send(self, message: Message) -> None:
        """Send a message whole; raises OSError when the other end is gone."""
        self._socket.sendall(json.dumps(message, allow_nan=False).encode() + b"\n")

    def receive(self) -> list[Message]:
        """Wait for bytes; the messages that are whole now. None, and ``ended``, at the end."""
        try:
            piece = self._socket.recv(_PIECE)
        except ConnectionError:  # the other process died before it had read what we sent
            piece = b""
        if not piece:
            self.ended = True
            return []
        *lines, self._rest = (self._rest + piece).split(b"\n")
        return [json.loads(line) for line in lines]

    def __iter__(self) -> Iterator[Message]:
        """All messages until the other end is closed."""
        while not self.ended:
            yield from self.receive()

    def close(self) -> None:
        """Close this end."""
        self._socket.close()
