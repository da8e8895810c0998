"""What an attack may spend and has spent: queries, seconds, labelled images."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from seglock.errors import AttackError

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Budget:
    """The limits of one attack; whichever comes first ends it.

    queries: in the attack's own unit. labelled: shares of the task's labelled images, 0 to 1,
    that a thief with labels may use; attacks that search use the largest.
    """

    queries: int
    seconds: float
    labelled: tuple[float, ...] = (0.1,)

    def __post_init__(self) -> None:
        limits = {"queries": self.queries, "seconds": self.seconds}
        limits["labelled"] = min(self.labelled, default=0)
        for name, limit in limits.items():
            if not 0 < limit < math.inf:
                raise AttackError(
                    f"an attack's budget of {name} must be above 0, and a number",
                    got=limit,
                    fix=f"give it some: attack.{name} in params.yaml, or --{name}",
                )

    def to_dict(self) -> dict[str, object]:
        """As in the result's JSON."""
        shares = list(self.labelled)
        return {"queries": self.queries, "seconds": self.seconds, "labelled": shares}


class Meter:
    """Counts an attack's queries and seconds, and says when to stop.

    >>> meter = Meter(Budget(queries=3, seconds=60.0))
    >>> meter.spend(2)
    >>> meter.left, meter.exhausted
    (1, False)
    """

    def __init__(
        self,
        budget: Budget,
        progress: Progress | None = None,
        clock: Callable[[], float] = time.monotonic,
        whole: Meter | None = None,
    ) -> None:
        self.budget = budget
        self.queries = 0
        self._whole = whole
        self._progress = progress
        self._clock = clock
        self._started = clock()

    @property
    def seconds(self) -> float:
        """Since the attack began."""
        return self._clock() - self._started

    @property
    def left(self) -> int:
        """Queries that may still be spent; none once the time is up."""
        over = self.seconds >= self.budget.seconds
        return 0 if over else max(0, self.budget.queries - self.queries)

    @property
    def exhausted(self) -> bool:
        """Whether the attack must come to its end."""
        return self.left == 0

    @property
    def share(self) -> float:
        """How much of the budget is spent, 0 to 1: of queries or of seconds, the larger."""
        return min(1.0, max(self.queries / self.budget.queries, self.seconds / self.budget.seconds))

    def part(self, parts: int, queries: int | None = None) -> Meter:
        """From now on, for one of so many equal parts of what is left; a query at least.

        What it counts is counted here too, unless it is given ``queries`` of another unit.
        """
        seconds = max(1e-9, self.budget.seconds - self.seconds) / parts
        if queries is not None:
            return Meter(Budget(queries, seconds), clock=self._clock)
        return Meter(Budget(max(1, self.left // parts), seconds), clock=self._clock, whole=self)

    def spend(self, queries: int = 1) -> None:
        """Count queries."""
        self.queries += queries
        if self._whole is not None:
            self._whole.spend(queries)
        if self._progress is not None:
            self._progress(int(self.share * self.budget.queries), self.budget.queries)
