"""Requests that arrive together are answered together, off the event loop."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any

Work = Callable[[Sequence[Any]], Sequence[Any]]


class Batcher:
    """Threads that take what is waiting, ``most`` items at most, and work on it at once.

    ``work`` is given items and answers one outcome each, an exception for one that has none.
    Nobody waits while a thread is free, but ``wait`` seconds where a batch is not full. ``room``:
    how many requests may be in the house, from before their body is read to their answer.
    """

    def __init__(self, work: Work, *, most: int, wait: float, room: int, threads: int = 1) -> None:
        self.inside = 0
        self._work, self._most, self._wait, self._room = work, most, wait, room
        self._waiting: deque[tuple[Any, asyncio.Future[Any]]] = deque()
        self._changed = threading.Condition()
        self._stopping = False
        self._threads = [
            threading.Thread(target=self._run, name=f"batches-{number}", daemon=True)
            for number in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def has_place(self) -> bool:
        """Whether one more request may come in."""
        return self.inside < self._room

    @contextlib.contextmanager
    def place(self) -> Iterator[None]:
        """One of the ``room`` places, for the block."""
        self.inside += 1
        try:
            yield
        finally:
            self.inside -= 1

    async def answer(self, item: Any) -> Any:
        """The outcome of one item, raised if it is an exception."""
        future = asyncio.get_running_loop().create_future()
        with self._changed:
            self._waiting.append((item, future))
            self._changed.notify()
        return await future

    def stop(self, seconds: float) -> None:
        """End the threads once what is waiting is answered; wait so many seconds for each."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join(seconds)

    def _run(self) -> None:
        while batch := self._next_batch():
            try:
                outcomes = self._work([item for item, _ in batch])
            except Exception as error:
                outcomes = [error] * len(batch)
            futures = [future for _, future in batch]
            with contextlib.suppress(RuntimeError):  # the loop was closed: nobody waits
                futures[0].get_loop().call_soon_threadsafe(_deliver, futures, outcomes)

    def _next_batch(self) -> list[tuple[Any, asyncio.Future[Any]]]:
        """What is to be worked on next; nothing once all is done and it is time to stop."""
        with self._changed:
            while True:
                self._changed.wait_for(lambda: self._waiting or self._stopping)
                if not self._waiting:
                    return []
                self._fill()
                if self._waiting:  # else another thread has taken it
                    share = -(-len(self._waiting) // len(self._threads))
                    count = min(self._most, share)
                    return [self._waiting.popleft() for _ in range(count)]

    def _fill(self) -> None:
        until = time.monotonic() + self._wait
        while 0 < len(self._waiting) < self._most and not self._stopping:
            if not self._changed.wait(max(0, until - time.monotonic())):
                return


def _deliver(futures: Sequence[asyncio.Future[Any]], outcomes: Sequence[Any]) -> None:
    for future, outcome in zip(futures, outcomes, strict=True):
        if future.done():  # whoever asked has gone
            continue
        if isinstance(outcome, Exception):
            future.set_exception(outcome)
        else:
            future.set_result(outcome)
