"""One attack from its material to its result: run it, then let the judge look."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from seglock.attacks.budget import Budget, Meter, Progress
from seglock.errors import AttackError

if TYPE_CHECKING:
    from seglock.attacks.judge import Judge, Verdict
    from seglock.attacks.protocol import Attack, Facts, Finding, Listed, Material

_NEEDS = {
    "T0": (),
    "T1": ("masks",),
    "T2": ("ciphertexts",),
    "T3": ("pairs", "oracle"),
}


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
        steps = ", ".join(map(str, facts.steps)) or "none"
        raise AttackError(
            f"attack {attack.name} must apply to the lock, but {reason}",
            got=f"steps {steps}",
            fix="leave this attack out, or attack another lock",
        )
