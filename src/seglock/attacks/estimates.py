"""From what a thief has found out about a block to a whole plan that can be tried."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from seglock.methods.ffx import FFX_RANGE
from seglock.transforms.build import for_network
from seglock.transforms.plan import COMPLEMENT, IDENTITY, Plan, dtype_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from seglock.attacks.protocol import Facts

UNKNOWN = -1
AS_IS, NEGATED, ENCRYPTED, NEGATED_ENCRYPTED = range(4)
"""The kinds of table that NP and FFX leave a position: x, 255 - x, FFX(x), FFX(255 - x)."""


def estimated_plan(
    facts: Facts,
    permutation: NDArray[np.integer[Any]],
    kinds: NDArray[np.integer[Any]],
    tables: NDArray[np.int16],
) -> Plan:
    """The plan of a permutation (n,) and a row (n,) of ``tables`` (K, 256) for each position.

    Entries of ``permutation`` that are unknown, or claimed twice, get the sources left over.
    """
    order, selector = filled_permutation(permutation), kinds.astype(np.uint8)
    plan = Plan(facts.block_size, order, tables, selector, dtype_of(facts.reach))
    return for_network(plan, facts.ffx_divisor, facts.normalisation)


def ffx_kinds(table: NDArray[np.int16] | None = None) -> NDArray[np.int16]:
    """The tables of the four kinds, (4, 256), for an FFX table as far as it is known.

    None, where there is none: of the first two.
    """
    plain = [IDENTITY, COMPLEMENT]
    if table is None:
        return np.stack(plain)
    whole = filled_table(table, FFX_RANGE)
    return np.stack([*plain, whole, whole[::-1]])


def filled_permutation(permutation: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
    """A permutation that keeps every entry it can.

    >>> filled_permutation(np.array([2, UNKNOWN, 2])).tolist()
    [2, 0, 1]
    """
    whole = np.full(len(permutation), UNKNOWN, np.int64)
    known = np.flatnonzero(permutation >= 0)
    sources, first = np.unique(permutation[known], return_index=True)
    whole[known[first]] = sources
    free = np.setdiff1d(np.arange(len(whole)), sources, assume_unique=True)
    whole[whole == UNKNOWN] = free
    return whole


def filled_table(table: NDArray[np.int16], reach: int) -> NDArray[np.int16]:
    """A one-to-one table into 0 .. reach - 1 that keeps every known level; the others get values
    that no level has."""
    whole = table.astype(np.int16)
    free = np.setdiff1d(np.arange(reach, dtype=np.int16), whole)
    unknown = np.flatnonzero(whole == UNKNOWN)
    whole[unknown] = free[: len(unknown)]
    return whole
