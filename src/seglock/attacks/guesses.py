"""Plans that a thief makes up: from keys of the thief's own, and small changes of one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from seglock.attacks.estimates import (
    AS_IS,
    ENCRYPTED,
    NEGATED,
    NEGATED_ENCRYPTED,
    estimated_plan,
)
from seglock.keys import SecretKey
from seglock.transforms.methods import plan_sequence
from seglock.transforms.plan import COMPLEMENT, IDENTITY, LEVELS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from seglock.attacks.protocol import Facts
    from seglock.transforms.plan import Plan


@dataclass(frozen=True, repr=False)
class Guess:
    """A plan as the parts that a search changes: permutation (n,), kinds (n,), FFX table (256,).

    It may come to be the true plan, and prints nothing.
    """

    permutation: NDArray[np.int64]
    kinds: NDArray[np.int64]
    table: NDArray[np.int16] | None

    def plan(self, facts: Facts) -> Plan:
        """The plan it stands for."""
        return estimated_plan(facts, self.permutation, self.kinds, self.table)


def guess(facts: Facts, seed: int, number: int) -> Guess:
    """The ``number``-th plan of a lock under keys that the thief draws from ``seed``."""
    drawn = np.random.default_rng([seed, number]).bytes(SecretKey.SIZE)
    plan = plan_sequence(facts.steps, SecretKey.from_bytes(drawn), facts.ffx_password)
    return as_guess(plan)


def as_guess(plan: Plan) -> Guess:
    """The parts of a plan of the formula."""
    table = next((row for row in plan.tables if row.max() >= LEVELS), None)
    kinds = []
    for row in plan.tables:
        if np.array_equal(row, IDENTITY):
            kinds.append(AS_IS)
        elif np.array_equal(row, COMPLEMENT):
            kinds.append(NEGATED)
        else:
            kinds.append(
                ENCRYPTED if table is not None and np.array_equal(row, table) else NEGATED_ENCRYPTED
            )
    return Guess(plan.permutation.astype(np.int64), np.array(kinds)[plan.selector], table)


def neighbour(facts: Facts, of: Guess, rng: np.random.Generator) -> Guess:
    """The same guess with two positions exchanged: their kinds of table, or their sources.

    Every neighbour is a plan of as many negated or encrypted positions. Where kinds do not differ
    only sources can be exchanged, and the other way round without SHF.
    """
    some, others = (
        np.flatnonzero(kind) for kind in (of.kinds == of.kinds[0], of.kinds != of.kinds[0])
    )
    moves = []
    if len(others):
        moves.append("kinds")
    if "shf" in facts.methods:
        moves.append("permutation")
    move = moves[rng.integers(len(moves))] if moves else ""
    permutation, kinds = of.permutation.copy(), of.kinds.copy()
    if move == "kinds":
        pair = [rng.choice(some), rng.choice(others)]
        kinds[pair] = kinds[pair[::-1]]
    elif move == "permutation":
        pair = list(rng.choice(facts.positions, 2, replace=False))
        permutation[pair] = permutation[pair[::-1]]
    return Guess(permutation, kinds, of.table)
