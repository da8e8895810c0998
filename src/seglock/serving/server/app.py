"""One model behind HTTP, and the gate in front of its paths that no error's text gets through."""

from __future__ import annotations

import sys
import time
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from seglock.serving.server.answers import answers
from seglock.serving.server.batches import Batcher
from seglock.serving.server.limits import (
    Rate,
    Receive,
    RequestError,
    ServerLimits,
    Token,
    largest_body,
    skip_body,
)
from seglock.serving.server.metrics import Metrics

if TYPE_CHECKING:
    from seglock.serving.runtime import LockedModel

Message = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]

OPEN = ("/health", "/ready")
"""Paths for those who watch the process: without a token, at any rate."""


class Server:
    """One model behind HTTP: an ASGI application. ``stop`` it when nobody asks any more."""

    def __init__(
        self,
        runtime: LockedModel,
        limits: ServerLimits,
        token: Token | None = None,
        *,
        threads: int = 1,
    ) -> None:
        from seglock.serving.server.paths import paths

        about = runtime.description
        if not limits.body_bytes:
            most = largest_body(about.image_side, np.dtype(about.dtype).itemsize)
            limits = replace(limits, body_bytes=most)
        self._runtime, self._limits, self._token = runtime, limits, token
        self._rate = Rate(limits.rate) if limits.rate else None
        self._batcher = Batcher(
            lambda asked: answers(runtime, asked, self._metrics.batch),
            most=limits.batch, wait=limits.wait, room=limits.queue, threads=threads,
        )  # fmt: skip
        self._metrics = Metrics(about, lambda: self._batcher.inside)
        self._paths = paths(self._batcher, self._metrics, about.to_json().encode(), limits)

    def warm_up(self) -> None:
        """One image through the network: what fails there fails before anyone asks."""
        about = self._runtime.description
        self._runtime.predict(np.zeros((1, 3, about.image_side, about.image_side), about.dtype))

    def stop(self, seconds: float) -> None:
        """Answer what is waiting, in so many seconds at most, then end the threads."""
        self._batcher.stop(seconds)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request. No exception leaves: its text may have what a client has sent."""
        if scope["type"] != "http":
            return
        start, status = time.perf_counter(), 0

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._answer(scope, receive, noted)
        except Exception as error:
            line = f"seglock: a request met {_where(error)}"
            print(line, file=sys.stderr, flush=True)  # noqa: T201 - the server's log
        self._metrics.request(scope["path"], status, time.perf_counter() - start)

    async def _answer(self, scope: Message, receive: Receive, send: Send) -> None:
        from seglock.serving.server.paths import refused

        try:
            if scope["path"] not in OPEN:
                self._admit(scope)
        except RequestError as refusal:
            closing = await skip_body(scope["headers"], receive, self._limits.body_seconds)
            await refused(refusal, closing)(scope, receive, send)
        else:
            await self._paths(scope, receive, send)

    def _admit(self, scope: Message) -> None:
        """Raise a RequestError unless this client may ask now."""
        if self._rate is not None:
            self._rate.take((scope.get("client") or ("unknown", 0))[0])
        if self._token is not None:
            self._token.check(scope["headers"])


def _where(error: Exception) -> str:
    """An error's kind and the line that raised it, without its text."""
    frame = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    place = f" in {frame.tb_frame.f_code.co_filename}:{frame.tb_lineno}" if frame else ""
    return f"{type(error).__name__}{place}"
