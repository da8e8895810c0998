"""T3, `known-plaintext`: images in both forms, 1, 2, 4, ... of them, as far as they tell."""

from __future__ import annotations

from seglock.attacks.blocks import block_rows
from seglock.attacks.budget import Meter
from seglock.attacks.correspondence import correspond
from seglock.attacks.protocol import Attack, Candidate, Finding, Material, needs_one_table


def run(material: Material, meter: Meter, seed: int) -> Finding:
    """Read the plan from 1, 2, 4, ... pairs, as many as there are or the budget allows.

    The result's curve has one line for each number of pairs. It does not end where the plan is
    determined: which number that is may depend on the plan, and is for the owner alone.
    """
    del seed  # nothing is drawn
    pairs, facts = material.pairs, material.facts
    assert pairs is not None
    candidates: list[Candidate] = []
    count = 0
    while count < len(pairs.plain) and not (candidates and meter.exhausted):
        more = min(max(1, count), len(pairs.plain) - count, max(1, meter.left))
        count += more
        meter.spend(more)
        found = correspond(
            block_rows(pairs.plain[:count], facts.block_size),
            block_rows(pairs.encrypted[:count], facts.block_size),
            facts,
        )
        exact = {"determined": found.determined}
        candidates.append(Candidate(found.plan, about={"pairs": count}, exact=exact))
    return Finding(tuple(candidates), len(candidates) - 1)


ATTACK = Attack("known-plaintext", "T3", "pairs", run, needs_one_table)
