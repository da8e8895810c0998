"""Analysis `key-proximity`: mean IoU with keys that are nearly right, by how nearly.

A steep curve means that a search which has most of the plan has nothing yet; a flat one that each
right position pays, which is what searches climb on.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from seglock.attacks.guesses import guess
from seglock.attacks.judge import Answers, Judge
from seglock.attacks.protocol import needs_steps
from seglock.attacks.run import Analysis, Measured
from seglock.transforms.exchange import neighbour

if TYPE_CHECKING:
    from seglock.attacks.budget import Meter
    from seglock.attacks.protocol import Facts
    from seglock.transforms.plan import Plan

DRAWS = 8
"""Random keys of each distance, at most."""
_TRIES = 20


def why_not(facts: Facts) -> str | None:
    """Locks whose plans differ in nothing that an exchange changes."""
    if needs_steps(facts):
        return needs_steps(facts)
    if not facts.shuffles and len(guess(facts, 0, 0).tables) == 1:
        return "it treats all positions alike, and no exchange of two changes its plan"
    return None


def distances(positions: int) -> list[int]:
    """Numbers of exchanges: 1, 2, 4, ... up to as many as there are positions.

    >>> distances(12)
    [1, 2, 4, 8]
    """
    return [1 << power for power in range(positions.bit_length()) if 1 << power <= positions]


def run(judge: Judge, facts: Facts, meter: Meter, seed: Sequence[int]) -> Measured:
    """Draw one key of every distance, and a random one, in turns while the budget lasts.

    ``miou`` and ``refused`` are those of one exchange. ``curve`` has a line for each distance:
    ``changes`` (None: a random key), ``draws``, the means of both, and ``min`` and ``max`` of
    ``miou``. The right key itself costs no query.
    """
    truth, inside = judge.transform._plan, judge.transform.features
    steps: list[int | None] = [*distances(facts.positions), None]
    answers: dict[int | None, list[Answers]] = {step: [] for step in (0, *steps)}
    agreements: dict[int | None, list[float]] = {step: [] for step in steps}
    answers[0].append(judge.answers(truth, features=inside))
    for number in range(DRAWS):
        for step in steps:
            if meter.queries and meter.exhausted:
                break
            other = _drawn(facts, truth, step, number, seed)
            if other is not None:
                answers[step].append(judge.answers(other, features=inside))
                agreements[step].append(judge.agreement(other).best)
                meter.spend()
    curve = [_line(step, found) for step, found in answers.items() if found]
    exact = [
        {"changes": step, "plan_agreement": float(np.mean(found))}
        for step, found in agreements.items()
        if found
    ]
    nearest = curve[:2][-1]
    headline = Answers(nearest["miou"], nearest["refused"])
    return Measured(headline, {"curve": curve}, {"curve": exact})


def _line(changes: int | None, found: Sequence[Answers]) -> dict[str, Any]:
    miou = [got.miou for got in found]
    return {
        "changes": changes,
        "draws": len(found),
        "miou": float(np.mean(miou)),
        "min": min(miou),
        "max": max(miou),
        "refused": float(np.mean([got.refused for got in found])),
    }


def _drawn(
    facts: Facts, truth: Plan, changes: int | None, number: int, seed: Sequence[int]
) -> Plan | None:
    """Another plan, so many exchanges from the right one; None where chance gives only that one."""
    rng = np.random.default_rng([*seed, number, changes or 0])
    for _ in range(_TRIES):
        other = truth if changes else guess(facts, int(rng.integers(1 << 32)), 0)
        for _ in range(changes or 0):
            other = neighbour(other, rng, shuffles=facts.shuffles)
        if not other.equals(truth):
            return other
    return None


ANALYSIS = Analysis("key-proximity", "analysis", "keys", run, why_not)
