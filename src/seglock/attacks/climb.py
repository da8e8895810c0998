"""Search among plans: random guesses first, then exchanges of two positions while they help."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from seglock.attacks.guesses import guess
from seglock.attacks.protocol import Candidate, Finding
from seglock.transforms.exchange import neighbour

if TYPE_CHECKING:
    from torch import Tensor

    from seglock.attacks.budget import Meter
    from seglock.attacks.protocol import Facts
    from seglock.transforms.plan import Plan

AT_ONCE = 8
"""Guesses that a search has judged together."""
Judged = Callable[[Sequence["Plan"]], "Tensor"]
"""Scores guesses (K,), the lower the better; on the thief's own data."""
Moves = Callable[["Plan", int], Sequence["Plan"]]
"""At most so many guesses that change the one that is given; none where there is nothing left."""


@dataclass(frozen=True)
class Found:
    """The best plan, its score, and how the best score fell: (queries, score) at each gain."""

    plan: Plan
    score: float
    course: tuple[tuple[int, float], ...]

    @classmethod
    def after(cls, before: Found | None, plan: Plan, score: float, meter: Meter) -> Found:
        """A gain over what was best before."""
        course = () if before is None else before.course
        return cls(plan, score, (*course, (meter.queries, score)))

    def finding(self, name: str = "cross_entropy") -> Finding:
        """As an attack hands it back; name: what the score is."""
        about = {name: self.score, "course": [list(point) for point in self.course]}
        return Finding((Candidate(self.plan),), about=about)


def draw_best(
    facts: Facts,
    judged: Judged,
    meter: Meter,
    seed: int,
    *,
    share: float = 1.0,
    at_once: int = AT_ONCE,
) -> Found:
    """The best of random guesses, until ``share`` of the budget is spent; one pass at least."""
    found: Found | None = None
    drawn = 0
    while found is None or (meter.share < share and not meter.exhausted):
        count = max(1, min(at_once, meter.left))
        guesses = [guess(facts, seed, drawn + i) for i in range(count)]
        scores = judged(guesses)
        drawn += count
        meter.spend(count)
        first = int(scores.argmin())
        if found is None or float(scores[first]) < found.score:
            found = Found.after(found, guesses[first], float(scores[first]), meter)
    return found


def climb(
    facts: Facts,
    judged: Judged,
    meter: Meter,
    seed: int,
    start: Found,
    *,
    moves: Moves | None = None,
) -> Found:
    """Change the best guess as long as the budget lasts; ``moves``: random exchanges, or others.

    Each pass tries several exchanges apart and takes the best; those that help by themselves are
    also tried together, since near the start most gains add up.
    """
    rng = np.random.default_rng([seed, 1])
    best = start
    while not meter.exhausted:
        count = max(1, min(AT_ONCE, meter.left))
        guesses = (
            [neighbour(best.plan, rng, shuffles=facts.shuffles) for _ in range(count)]
            if moves is None
            else moves(best.plan, count)
        )
        if not guesses:
            break
        scores = judged(guesses)
        meter.spend(len(guesses))
        better = [i for i in np.argsort(scores.numpy()) if float(scores[i]) < best.score]
        if better:
            taken, least = guesses[better[0]], float(scores[better[0]])
            if len(better) > 1 and not meter.exhausted:
                joined = _joined(best.plan, [guesses[i] for i in better])
                (together,) = judged([joined]).tolist()
                meter.spend()
                if together < least:
                    taken, least = joined, together
            best = Found.after(best, taken, least, meter)
    return best


def _joined(start: Plan, changed: Sequence[Plan]) -> Plan:
    """All exchanges that touch no position twice, the most helpful first."""
    permutation, selector = start.permutation.copy(), start.selector.copy()
    touched = np.zeros(len(selector), bool)
    for other in changed:
        moved = (other.permutation != start.permutation) | (other.selector != start.selector)
        if not (moved & touched).any():
            permutation[moved], selector[moved] = other.permutation[moved], other.selector[moved]
            touched |= moved
    return replace(start, permutation=permutation, selector=selector)
