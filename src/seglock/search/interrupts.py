"""Ctrl-C and SIGTERM, let through only where nothing is half done."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Iterator
from types import FrameType
from typing import Any, Self

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupts:
    """Keeps a stop from outside until ``allow_interrupts``; there it is a KeyboardInterrupt.

    A second one is let through at once, wherever that is; after ``ignore`` none is.
    """

    def __init__(self) -> None:
        self._asked = 0
        self._open = False
        self._deaf = False
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in _SIGNALS:
                self._before[number] = signal.signal(number, self._heard)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _heard(self, _number: int, _frame: FrameType | None) -> None:
        if self._deaf:
            return
        self._asked += 1
        if self._open or self._asked > 1:
            raise KeyboardInterrupt

    @contextlib.contextmanager
    def allow_interrupts(self) -> Iterator[None]:
        """In this block a stop may come at any moment."""
        before, self._open = self._open, True
        try:
            if self._asked and not self._deaf:
                raise KeyboardInterrupt
            yield
        finally:
            self._open = before

    @contextlib.contextmanager
    def held_back(self) -> Iterator[None]:
        """In this block, within such a one, it waits; it is raised at the block's end."""
        before, self._open = self._open, False
        try:
            yield
        finally:
            self._open = before
        if before and self._asked and not self._deaf:
            raise KeyboardInterrupt

    def sleep(self, seconds: float) -> None:
        """Wait; a stop ends it."""
        with self.allow_interrupts():
            time.sleep(seconds)

    def ignore(self) -> None:
        """From here on everything is being put away; that takes seconds and must be whole."""
        self._deaf = True
