"""T0, `random-keys`: a hundred keys at most, with nothing to choose by."""

from __future__ import annotations

from seglock.attacks.budget import Meter
from seglock.attacks.guesses import guess
from seglock.attacks.protocol import Attack, Candidate, Finding, Material

KEYS = 100
"""The paper's number, and the most: the judge must try each on the whole test split."""


def run(material: Material, meter: Meter, seed: int) -> Finding:
    """Each key is a candidate; the figure is the 95th percentile over them, what luck gives."""
    candidates: list[Candidate] = []
    while not candidates or (len(candidates) < KEYS and not meter.exhausted):
        plan = guess(material.facts, seed, len(candidates))
        candidates.append(Candidate(plan, about={"key": len(candidates)}))
        meter.spend()
    return Finding(tuple(candidates), None)


ATTACK = Attack("random-keys", "T0", "keys", run)
