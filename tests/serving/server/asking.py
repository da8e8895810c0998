"""A server of a tiny package over real HTTP, and bodies to send it."""

from __future__ import annotations

import contextlib
import http.client
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seglock.serving.envelope import Envelope, encode
from seglock.serving.server.app import Server
from seglock.serving.server.limits import ServerLimits, Token
from seglock.serving.server.run import bind, process_of
from tests.serving.tiny import describe

SIDE = 16
ABOUT = describe(("np-4",), SIDE)


class Mirror:
    """A network that answers each pixel's red value: every image has an answer of its own."""

    def __init__(self) -> None:
        self.description = ABOUT
        self.sizes: list[int] = []
        self.go = threading.Event()
        self.go.set()

    def predict(self, values: NDArray[Any]) -> NDArray[np.uint8]:
        assert self.go.wait(20)
        self.sizes.append(len(values))
        return np.ascontiguousarray(values[:, 0]).astype(np.uint8)


def envelope(fill: int | None = None, **other: Any) -> bytes:
    """An envelope of the served model's lock, of one value or of random ones."""
    random = np.random.default_rng(0).integers(0, 256, (3, SIDE, SIDE), dtype=np.uint8)
    values = random if fill is None else np.full((3, SIDE, SIDE), fill, np.uint8)
    about = {
        "values": values, "key_id": ABOUT.key_id, "lock": ABOUT.lock, "steps": ABOUT.steps,
        "photo_size": None,
    }  # fmt: skip
    return encode(Envelope(**{**about, **other}))


@contextlib.contextmanager
def served(runtime: Any, token: str | None = None, **limits: Any) -> Iterator[int]:
    """The port of a server of ``runtime``, in a thread of this process, stopped at the end."""
    listener = bind("127.0.0.1", 0)
    server = Server(runtime, ServerLimits(**limits), token and Token(token))
    process = process_of(server)
    thread = threading.Thread(target=process.run, args=([listener],))
    thread.start()
    try:
        while not process.started:
            time.sleep(0.005)
        yield listener.getsockname()[1]
    finally:
        process.should_exit = True
        thread.join(20)
        server.stop(20)


def ask(
    port: int, path: str = "/predict", body: Any = None, **headers: str
) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of one reply: a POST where there is a body."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    with contextlib.closing(connection):
        method = "GET" if body is None else "POST"
        chunked = body is not None and not isinstance(body, bytes)
        connection.request(method, path, body, headers, encode_chunked=chunked)
        reply = connection.getresponse()
        return reply.status, {k.lower(): v for k, v in reply.getheaders()}, reply.read()


def connected(port: int) -> socket.socket:
    """A connection to a server, for what no client library sends."""
    return socket.create_connection(("127.0.0.1", port), timeout=20)
