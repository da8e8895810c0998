"""From what a thief has found out about a block to a whole plan that can be tried."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from seglock.transforms.ffx import FFX_RANGE
from seglock.transforms.plan import COMPLEMENT, IDENTITY, LEVELS, Plan

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from seglock.attacks.protocol import Facts

UNKNOWN = -1
AS_IS, NEGATED, ENCRYPTED, NEGATED_ENCRYPTED = range(4)
"""The kinds of table that the formula allows a position: x, 255 - x, FFX(x), FFX(255 - x)."""


def estimated_plan(
    facts: Facts,
    permutation: NDArray[np.integer[Any]],
    kinds: NDArray[np.integer[Any]],
    ffx: NDArray[np.int16] | None = None,
) -> Plan:
    """The plan of a permutation (n,), a kind of table for each position (n,) and the FFX table.

    Entries of ``permutation`` that are unknown, or claimed twice, get the sources left over;
    unknown levels of ``ffx`` (256,) get values that no level has.
    """
    table = filled_table(np.full(LEVELS, UNKNOWN, np.int16) if ffx is None else ffx)
    tables = np.stack([IDENTITY, COMPLEMENT, table, table[::-1]])
    wide = "ffx" in facts.methods
    if not wide:
        tables = tables[:2]
    plan = Plan(
        facts.block_size,
        filled_permutation(permutation),
        tables,
        kinds.astype(np.uint8),
        "int16" if wide else "uint8",
    )
    return replace(plan, divisor=facts.ffx_divisor) if wide and facts.ffx_divisor else plan


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


def filled_table(table: NDArray[np.int16]) -> NDArray[np.int16]:
    """A one-to-one table that keeps every known level; the others get values nobody has."""
    whole = table.astype(np.int16)
    free = np.setdiff1d(np.arange(FFX_RANGE, dtype=np.int16), whole)
    unknown = np.flatnonzero(whole == UNKNOWN)
    whole[unknown] = free[: len(unknown)]
    return whole
