"""Plans beside a plan: two positions exchanged."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from seglock.transforms.plan import Plan


def exchanged(of: Plan, one: int, other: int, *, tables: bool) -> Plan:
    """The same plan with two positions exchanged: their tables, or their sources."""
    name = "selector" if tables else "permutation"
    changed = getattr(of, name).copy()
    changed[[one, other]] = changed[[other, one]]
    return replace(of, **{name: changed})


def neighbour(of: Plan, rng: np.random.Generator, *, shuffles: bool) -> Plan:
    """The same plan with two positions exchanged, by chance.

    Every neighbour has each table at as many positions. Where tables do not differ only sources
    can be exchanged, and the other way round without a step that ``shuffles``.
    """
    first = of.selector == of.selector[0]
    some, others = np.flatnonzero(first), np.flatnonzero(~first)
    moves = [True] if len(others) else []
    if shuffles:
        moves.append(False)
    if not moves:
        return of
    if moves[rng.integers(len(moves))]:
        return exchanged(of, rng.choice(some), rng.choice(others), tables=True)
    return exchanged(of, *rng.choice(of.size, 2, replace=False), tables=False)
