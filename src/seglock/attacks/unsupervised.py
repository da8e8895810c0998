"""T0, `unsupervised`: search for the key without a label, by how much at home the network is.

A network that refuses tells of every key that it is wrong, and how surely: an oracle for searches.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from seglock.attacks.climb import Found, climb, draw_best
from seglock.attacks.guesses import guess
from seglock.attacks.protocol import Attack, Facts, Finding, Material
from seglock.attacks.unlabelled import USUAL, Signals
from seglock.transforms.build import for_network
from seglock.transforms.key_space import small_space

if TYPE_CHECKING:
    from collections.abc import Sequence

    from seglock.attacks.budget import Meter
    from seglock.transforms.plan import Plan

_RANDOM_SHARE = 0.2
_LISTED = 2**12


def run(material: Material, meter: Meter, seed: int) -> Finding:
    """The best plan that the search finds."""
    return search(material, meter, seed).finding("signal")


def search(material: Material, meter: Meter, seed: int) -> Found:
    """Random keys for a fifth of the budget, then exchanges of two positions.

    Of a network that refuses, where there are few plans: then all others, the nearest first.
    """
    facts = material.facts
    judged = Signals(material, [guess(facts, seed, number) for number in range(USUAL)])
    start = draw_best(facts, judged, meter, seed, share=_RANDOM_SHARE)
    listed = small_space(facts.steps, facts.ffx_password, _LISTED) if judged.refuses else None
    moves = NearestPlans(facts, listed, seed) if listed else None
    return climb(facts, judged, meter, seed, start, moves=moves)


class NearestPlans:
    """Plans of a list, each once: those first that differ from the best in fewest positions.

    A refusal is flat but near the right plan, so that a climb by chance would soon go round in
    circles; this one ends where every plan was tried.
    """

    def __init__(self, facts: Facts, plans: Sequence[Plan], seed: int) -> None:
        order = np.random.default_rng([seed, 5]).permutation(len(plans))
        self._left = [for_network(plans[i], facts.ffx_divisor, facts.normalisation) for i in order]

    def __call__(self, best: Plan, count: int) -> Sequence[Plan]:
        self._left.sort(key=lambda plan: _differing(plan, best))
        some, self._left = self._left[:count], self._left[count:]
        return some


def _differing(one: Plan, other: Plan) -> int:
    moved = one.permutation != other.permutation
    tables = (one.tables[one.selector] != other.tables[other.selector]).any(axis=1)
    return int((moved | tables).sum())


ATTACK = Attack("unsupervised", "T0", "keys", run)
