"""How far something is and how long it will still take, in plain lines for a pipe or a log."""

from __future__ import annotations

import sys
import time
from datetime import timedelta

SOON, SELDOM = 3.0, 60.0  # seconds


class ProgressLines:
    """Called like a progress bar, with what is done, how much of it, and of how much in all.

    What takes longer than a moment gets a line soon, then ever more seldom.
    """

    def __init__(self) -> None:
        self._what = ""
        self._began = self._said = 0.0
        self._first = 0

    def __call__(self, what: str, done: int, total: int | None) -> None:
        """Say so, if it is time to."""
        now = time.monotonic()
        if what != self._what:
            self._what, self._began, self._said, self._first = what, now, now, done
        wait = min(max(SOON, self._said - self._began), SELDOM)
        if now - self._said < wait or not total or not self._first < done < total:
            return
        print(f"{what}: {done / total:.0%}, {self.left(done, total)} left", file=sys.stderr)  # noqa: T201
        sys.stderr.flush()
        self._said = now

    def left(self, done: int, total: int) -> timedelta:
        """How long the rest of what was called last will take, at the pace since it began."""
        spent = time.monotonic() - self._began
        return timedelta(seconds=round(spent * (total - done) / max(done - self._first, 1)))

    def heard(self) -> None:
        """Another line has just told how far it is."""
        self._said = time.monotonic()
