"""Analyses: what the owner, who knows the plan, measures of a lock. No thief could; no attack may.

They run beside attacks, in the judge's place: an analysis is given the judge, never the material
of a tier, and no attack is given an analysis.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from seglock.attacks.meter import Meter
from seglock.attacks.protocol import Facts, Unit, needs_steps
from seglock.attacks.run import check_applies

if TYPE_CHECKING:
    from collections.abc import Mapping

    from seglock.attacks.judge import Judge
    from seglock.attacks.meter import Budget, Progress

TIER = "analysis"


@dataclass(frozen=True)
class Measured:
    """What an analysis comes to: its mean IoU, and more for its JSON, nothing of any plan."""

    miou: float
    about: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Analysis:
    """One analysis: what its queries count, what it measures, and where it does not apply.

    run: given the judge, the lock's facts, the meter, the seed and the owner's mean IoU.
    """

    name: str
    unit: Unit
    run: Callable[[Judge, Facts, Meter, int, float], Measured]
    why_not: Callable[[Facts], str | None] = needs_steps
    tier: str = TIER


def run_analysis(
    analysis: Analysis,
    facts: Facts,
    judge: Judge,
    budget: Budget,
    *,
    lock: str,
    correct: float,
    seed: int = 0,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Measure; the result is plain values for its JSON, with the fields that attacks' have.

    Raises AttackError where the analysis does not apply to the lock.
    """
    check_applies(analysis, facts)
    meter = Meter(budget, progress)
    measured = analysis.run(judge, facts, meter, seed, correct)
    return {
        **judge.figures(analysis, meter, meter.seconds, measured.miou, lock=lock, correct=correct),
        "plan_agreement": None,
        **measured.about,
    }
