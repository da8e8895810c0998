"""Seconds that work takes on a device that is told ahead of what it does."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import torch


def now() -> float:
    """The clock, once the device has done all it was told."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


def timed(work: Callable[[], object]) -> float:
    """Seconds that ``work`` takes, until the device has done it."""
    start = now()
    work()
    return now() - start


class Clock:
    """The least time of each part of a step; the device is waited for after each."""

    def __init__(self) -> None:
        self.best: dict[str, float] = {}
        self._last = now()

    def done(self, part: str) -> None:
        """What has happened since the last call was ``part``."""
        before, self._last = self._last, now()
        self.best[part] = min(self.best.get(part, math.inf), self._last - before)
