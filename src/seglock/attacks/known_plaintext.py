"""T3, `known-plaintext`: images in both forms, one pair more until no position is left open."""

from __future__ import annotations

import numpy as np

from seglock.attacks.blocks import block_rows
from seglock.attacks.correspondence import correspond
from seglock.attacks.meter import Meter
from seglock.attacks.protocol import Attack, Candidate, Finding, Material


def run(material: Material, meter: Meter, seed: int) -> Finding:
    """Read the plan from 1, 2, 3, ... pairs, until it is determined or none is left.

    The result's curve has one line for each number of pairs; ``pairs_needed`` is the number that
    determined the whole plan, None where the budget did not.
    """
    del seed  # nothing is drawn
    pairs, facts = material.pairs, material.facts
    assert pairs is not None
    plain = np.empty((0, facts.positions), pairs.plain.dtype)
    encrypted = np.empty((0, facts.positions), pairs.encrypted.dtype)
    candidates: list[Candidate] = []
    needed = None
    for number in range(len(pairs.plain)):
        if needed is not None or (candidates and meter.exhausted):
            break
        pair = slice(number, number + 1)
        plain = np.concatenate([plain, block_rows(pairs.plain[pair], facts.block_size)])
        encrypted = np.concatenate([encrypted, block_rows(pairs.encrypted[pair], facts.block_size)])
        found = correspond(plain, encrypted, facts)
        meter.spend()
        about = {"pairs": number + 1, "determined": found.determined}
        candidates.append(Candidate(found.plan, about=about))
        needed = number + 1 if found.determined == 1.0 else None
    return Finding(tuple(candidates), len(candidates) - 1, about={"pairs_needed": needed})


ATTACK = Attack("known-plaintext", "T3", "pairs", run)
