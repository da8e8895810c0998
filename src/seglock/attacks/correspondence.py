"""Which plain value each encrypted value of a block is made of, from blocks seen in both forms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from seglock.attacks.estimates import (
    AS_IS,
    ENCRYPTED,
    NEGATED,
    NEGATED_ENCRYPTED,
    UNKNOWN,
    estimated_plan,
)
from seglock.transforms.ffx import FIXED_PASSWORD, ffx_table
from seglock.transforms.plan import LEVELS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from seglock.attacks.protocol import Facts
    from seglock.transforms.plan import Plan


@dataclass(frozen=True)
class Correspondence:
    """A plan as far as pairs tell it. ``determined``: the share of it that they leave no choice."""

    plan: Plan
    determined: float


def correspond(plain: NDArray[np.uint8], encrypted: NDArray[Any], facts: Facts) -> Correspondence:
    """Read the plan from blocks (B, n) in both forms.

    A plain value that is shuffled, negated or both keeps its series over the blocks, or its
    negative; one under FFX keeps the pattern of which blocks have equal values. Two positions
    with the same series cannot be told apart: then more blocks are needed.
    """
    table = _public_table(facts)
    source, kinds, certain = _match(plain, encrypted, facts, table)
    if "ffx" in facts.methods and table is None:
        table, kinds = _read_table(plain, encrypted, facts, source, np.where(certain, kinds, AS_IS))
        if (table != UNKNOWN).all():
            source, kinds, certain = _match(plain, encrypted, facts, table)
        else:
            certain &= kinds == AS_IS
    plan = estimated_plan(facts, source, kinds, table)
    return Correspondence(plan, float(certain.mean()))


def _public_table(facts: Facts) -> NDArray[np.int16] | None:
    known = facts.ffx_password == "fixed"  # noqa: S105 - a choice, not a password
    return ffx_table(FIXED_PASSWORD) if known else None


def _match(
    plain: NDArray[np.uint8],
    encrypted: NDArray[Any],
    facts: Facts,
    table: NDArray[np.int16] | None,
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
    """The source (-1 unknown), kind and certainty of each encrypted position."""
    size = facts.positions
    source = np.full(size, UNKNOWN, np.int64)
    kinds = np.full(size, AS_IS, np.int64)
    certain = np.zeros(size, bool)
    shuffled = "shf" in facts.methods
    for kind, series in _possible(plain, facts, table):
        find = _find_anywhere if shuffled else _find_in_place
        found, alone = find(series, encrypted.astype(np.int16))
        # A series that two kinds explain leaves a choice; the first of them stays.
        certain &= ~(found >= 0)
        new = (source < 0) & (found >= 0)
        source[new], kinds[new], certain[new] = found[new], kind, alone[new]
    if "ffx" in facts.methods and table is None:
        left = np.flatnonzero(source < 0)
        kinds[left] = ENCRYPTED
        if not shuffled:
            source[left], certain[left] = left, True
        elif len(left):
            pattern, seen = _patterns(plain), _patterns(encrypted[:, left])
            source[left], certain[left] = _find_anywhere(pattern, seen)
    return source, kinds, certain


def _possible(
    plain: NDArray[np.uint8], facts: Facts, table: NDArray[np.int16] | None
) -> list[tuple[int, NDArray[np.int16]]]:
    """What the positions of a block may have become under each known kind of table."""
    as_is = plain.astype(np.int16)
    series = [(AS_IS, as_is)]
    if "np" in facts.methods:
        series.append((NEGATED, 255 - as_is))
    if table is not None and "ffx" in facts.methods:
        series.append((ENCRYPTED, table[plain]))
        if "np" in facts.methods:
            series.append((NEGATED_ENCRYPTED, table[255 - plain]))
    return series


def _find_in_place(
    series: NDArray[np.int16], encrypted: NDArray[np.int16]
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    same = (series == encrypted).all(axis=0)
    found = np.where(same, np.arange(len(same)), UNKNOWN)
    return found, same


def _find_anywhere(
    series: NDArray[Any], encrypted: NDArray[Any]
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """For each encrypted position, a plain one with the same series, and whether it is the only."""
    known, wanted = _digests(series), _digests(encrypted)
    order = np.argsort(known, kind="stable")
    low = np.searchsorted(known[order], wanted, side="left")
    high = np.searchsorted(known[order], wanted, side="right")
    found = np.where(high > low, order[np.minimum(low, len(order) - 1)], UNKNOWN)
    return found, high - low == 1


def _digests(series: NDArray[Any]) -> NDArray[np.uint64]:
    """A 64-bit fingerprint of each column, the same for equal columns."""
    weights = np.random.default_rng(0).integers(1, 2**63, len(series), dtype=np.uint64)
    digests = np.zeros(series.shape[1], np.uint64)
    for row, weight in zip(series, weights, strict=True):
        digests += (row.astype(np.uint64) + np.uint64(1)) * (weight | np.uint64(1))
    return digests


def _patterns(series: NDArray[Any]) -> NDArray[np.int64]:
    """Each value replaced by the first block that has it: what any one-to-one table keeps."""
    order = np.argsort(series, axis=0, kind="stable")
    ordered = np.take_along_axis(series, order, axis=0)
    begins = np.ones_like(ordered, dtype=bool)
    begins[1:] = ordered[1:] != ordered[:-1]
    rows = np.arange(len(series))[:, None]
    start = np.maximum.accumulate(np.where(begins, rows, 0), axis=0)
    pattern = np.empty(series.shape, np.int64)
    np.put_along_axis(pattern, order, np.take_along_axis(order, start, axis=0), axis=0)
    return pattern


def _read_table(
    plain: NDArray[np.uint8],
    encrypted: NDArray[Any],
    facts: Facts,
    source: NDArray[np.int64],
    kinds: NDArray[np.int64],
) -> tuple[NDArray[np.int16], NDArray[np.int64]]:
    """The FFX table as far as it was seen, and which positions were negated before it.

    Where NP comes before FFX there are two tables, one the mirror of the other: a position joins
    the one that it has values in common with. Which of the two is called the mirror changes
    nothing: the plan is the same.
    """
    table, kinds = np.full(LEVELS, UNKNOWN, np.int16), kinds.copy()
    waiting = np.flatnonzero(kinds == ENCRYPTED)
    while len(waiting):
        levels, values = plain[:, source[waiting]], encrypted[:, waiting]
        straight = (table[levels] == values).sum(axis=0)
        mirrored = (table[255 - levels] == values).sum(axis=0)
        if "np" not in facts.methods:
            joins = np.ones(len(waiting), bool)
        else:
            joins = straight != mirrored
            if not joins.any():  # the first of all, or one that shares no value with the rest
                joins[0] = True
        turned = joins & (mirrored > straight)
        kinds[waiting[turned]] = NEGATED_ENCRYPTED
        levels[:, turned] = 255 - levels[:, turned]
        table[levels[:, joins]] = values[:, joins]
        waiting = waiting[~joins]
    return table, kinds
