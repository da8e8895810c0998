"""T1, `exhaustive`: every key, where there are few enough, scored on labelled images."""

from __future__ import annotations

from seglock.attacks.budget import Meter
from seglock.attacks.climb import AT_ONCE
from seglock.attacks.labels import by_labels
from seglock.attacks.protocol import Attack, Candidate, Facts, Finding, Material, needs_steps
from seglock.transforms.build import for_network
from seglock.transforms.key_space import key_space_bits, small_space

LIMIT_BITS = 16
"""Larger key spaces are left to searches that need not see all of them."""


def why_not(facts: Facts) -> str | None:
    """Key spaces beyond the limit cannot be listed."""
    if needs_steps(facts):
        return needs_steps(facts)
    bits = key_space_bits(facts.steps, facts.ffx_password)
    if bits > LIMIT_BITS:
        return f"its key space of {bits:.1f} bits is beyond the {LIMIT_BITS} that can be listed"
    return None


def run(material: Material, meter: Meter, seed: int) -> Finding:
    """All plans, or as many as the budget lasts for; ``share`` says how many of them."""
    del seed  # nothing is drawn
    facts = material.facts
    every = small_space(facts.steps, facts.ffx_password, 2**LIMIT_BITS)
    assert every is not None
    plans = [for_network(plan, facts.ffx_divisor, facts.normalisation) for plan in every]
    judged = by_labels(material, max(meter.budget.labelled))
    best, least, done = 0, float("inf"), 0
    while done < len(plans) and (not done or not meter.exhausted):
        some = plans[done : done + max(1, min(AT_ONCE, meter.left))]
        scores = judged(some)
        meter.spend(len(some))
        if float(scores.min()) < least:
            best, least = done + int(scores.argmin()), float(scores.min())
        done += len(some)
    about = {"plans": len(plans), "share": done / len(plans), "cross_entropy": least}
    return Finding((Candidate(plans[best]),), about=about)


ATTACK = Attack("exhaustive", "T1", "keys", run, why_not)
