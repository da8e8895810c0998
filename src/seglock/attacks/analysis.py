"""Analyses: what the owner, who knows the plan, measures of a lock. No thief could; no attack may.

They run beside attacks, in the judge's place: an analysis is given the judge, never the material
of a tier, and no attack is given an analysis.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from seglock.attacks.budget import Meter
from seglock.attacks.judge import Verdict
from seglock.attacks.protocol import Facts, Listed
from seglock.attacks.run import check_applies

if TYPE_CHECKING:
    from collections.abc import Mapping

    from seglock.attacks.budget import Budget, Progress
    from seglock.attacks.judge import Judge


@dataclass(frozen=True)
class Measured:
    """What an analysis comes to: its mean IoU, and more for its two documents; see `Verdict`."""

    miou: float
    about: Mapping[str, Any] = field(default_factory=dict)
    exact: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Analysis(Listed):
    """One analysis.

    run: given the judge, the lock's facts, the meter, the owner's seed and the owner's mean IoU.
    What it draws must come from that seed: from anything public, or from the plan, readers could
    draw it too.
    """

    tier: Literal["analysis"]
    run: Callable[[Judge, Facts, Meter, Sequence[int], float], Measured]


def run_analysis(
    analysis: Analysis,
    facts: Facts,
    judge: Judge,
    budget: Budget,
    *,
    lock: str,
    correct: float,
    secret: bytes,
    seed: int = 0,
    progress: Progress | None = None,
) -> Verdict:
    """Measure; what is published has the fields that attacks' results have.

    secret: derived from the owner's key for this analysis of this lock; with ``seed`` it is what
    is drawn from. Raises AttackError where the analysis does not apply to the lock.
    """
    check_applies(analysis, facts)
    meter = Meter(budget, progress)
    measured = analysis.run(judge, facts, meter, [seed, *secret], correct)
    figures = judge.figures(
        analysis, meter, meter.seconds, measured.miou, lock=lock, correct=correct
    )
    return Verdict(
        {**figures, "plan_found": None, "above_chance": None, **measured.about},
        {"attack": analysis.name, "lock": lock, **measured.exact},
    )
