"""One attack, or one analysis, from what it is given to its result.

An analysis is what the owner, who knows the plan, measures of a lock: no thief could, and no attack
may. It runs in the judge's place: it is given the judge, never the material of a tier, and no
attack is given an analysis.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import torch

from seglock.attacks.budget import Budget, Meter, Progress
from seglock.attacks.judge import Answers, Judge, Verdict
from seglock.attacks.protocol import Facts, Listed
from seglock.errors import AttackError

if TYPE_CHECKING:
    from seglock.attacks.protocol import Attack, Finding, Material

_NEEDS = {
    "T0": (),
    "T1": ("masks",),
    "T2": ("ciphertexts",),
    "T3": ("pairs", "oracle"),
}


@dataclass(frozen=True)
class Measured:
    """What an analysis comes to: its headline, and more for its two documents; see `Verdict`."""

    answers: Answers
    about: Mapping[str, Any] = field(default_factory=dict)
    exact: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Analysis(Listed):
    """One analysis.

    run: given the judge, the lock's facts, the meter and the owner's seed. What it draws must come
    from that seed: from anything public, or from the plan, readers could draw it too.
    """

    tier: Literal["analysis"]
    run: Callable[[Judge, Facts, Meter, Sequence[int]], Measured]


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
    measured = analysis.run(judge, facts, meter, [seed, *secret])
    figures = judge.figures(
        analysis, meter, meter.seconds, measured.answers, lock=lock, correct=correct
    )
    return Verdict(
        {**figures, "plan_found": None, "above_chance": None, **measured.about},
        {"attack": analysis.name, "lock": lock, **measured.exact},
    )


def run_attack(
    attack: Attack,
    material: Material,
    judge: Judge,
    budget: Budget,
    *,
    lock: str,
    correct: float,
    seed: int = 0,
    progress: Progress | None = None,
) -> Verdict:
    """Run an attack and judge what it found.

    Raises AttackError where the attack does not apply to the lock, or its tier's material lacks.
    """
    meter = Meter(budget, progress)
    return judge.judge(
        attack, find(attack, material, meter, seed), meter, lock=lock, correct=correct
    )


def find(attack: Attack, material: Material, meter: Meter, seed: int) -> Finding:
    """What an attack comes to by itself: a function of its material, budget and seed alone."""
    check_applies(attack, material.facts)
    for need in _NEEDS[attack.tier]:
        if getattr(material, need) is None:
            raise AttackError(
                f"attack {attack.name} of tier {attack.tier} needs {need}",
                got="none",
                fix=f"hand over the material of tier {attack.tier}",
            )
    cuda = [material.device] if material.device.type == "cuda" else []
    # The cache of cast weights would outlive an optimizer's step: autocast is held over all of it.
    bf16 = torch.autocast(
        material.device.type, torch.bfloat16, enabled=material.bf16, cache_enabled=False
    )
    with torch.random.fork_rng(devices=cuda), bf16:
        torch.manual_seed(seed)
        return attack.run(material, meter, seed)


def check_applies(attack: Listed, facts: Facts) -> None:
    """Raise AttackError, with the reason, where an attack does not apply to a lock."""
    reason = attack.why_not(facts)
    if reason:
        steps = ", ".join(map(str, [*facts.steps, *facts.features])) or "none"
        raise AttackError(
            f"attack {attack.name} must apply to the lock, but {reason}",
            got=f"steps {steps}",
            fix="leave this attack out, or attack another lock",
        )
