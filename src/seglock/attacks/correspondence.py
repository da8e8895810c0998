"""Which plain value each encrypted value of a block is made of, from blocks seen in both forms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from seglock.attacks.estimates import UNKNOWN, estimated_plan, filled_table
from seglock.methods import LEVELS
from seglock.transforms.sequence import public_tables

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

    A plain value that only moves, or goes through a table that everyone knows, keeps its series
    over the blocks, or what the table makes of it; one whose table is secret (FFX) keeps the
    pattern of which blocks have equal values. Two positions with the same series cannot be told
    apart: then more blocks are needed.
    """
    known = tables = public_tables(facts.steps, facts.ffx_password)
    if not facts.secret_tables:
        source, kinds, certain = _match(plain, encrypted, facts, known)
    else:
        source, kinds, certain = _match(plain, encrypted, facts, known, is_whole=False)
        read = np.where(certain, kinds, 0)
        table, kinds = _read_table(plain, encrypted, known, source, read)
        is_read = bool((table != UNKNOWN).all())
        tables = np.concatenate([known, filled_table(table, facts.reach)[known]])
        if is_read:
            source, kinds, certain = _match(plain, encrypted, facts, tables)
        else:
            certain &= kinds == 0
    plan = estimated_plan(facts, source, kinds, tables)
    return Correspondence(plan, float(certain.mean()))


def _match(
    plain: NDArray[np.uint8],
    encrypted: NDArray[Any],
    facts: Facts,
    tables: NDArray[np.int16],
    *,
    is_whole: bool = True,
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
    """The source (-1 unknown), kind and certainty of each encrypted position.

    A kind is a row of ``tables``, or the number after the last for a table that is not among them,
    where they are not all.
    """
    size = facts.positions
    source = np.full(size, UNKNOWN, np.int64)
    kinds = np.zeros(size, np.int64)
    certain = np.zeros(size, bool)
    for kind, table in enumerate(tables):
        find = _find_anywhere if facts.shuffles else _find_in_place
        found, alone = find(table[plain], encrypted.astype(np.int16))
        # A series that two kinds explain leaves a choice; the first of them stays.
        certain &= ~(found >= 0)
        new = (source < 0) & (found >= 0)
        source[new], kinds[new], certain[new] = found[new], kind, alone[new]
    if not is_whole:
        left = np.flatnonzero(source < 0)
        kinds[left] = len(tables)
        if not facts.shuffles:
            source[left], certain[left] = left, True
        elif len(left):
            pattern, seen = _patterns(plain), _patterns(encrypted[:, left])
            source[left], certain[left] = _find_anywhere(pattern, seen)
    return source, kinds, certain


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
    known: NDArray[np.int16],
    source: NDArray[np.int64],
    kinds: NDArray[np.int64],
) -> tuple[NDArray[np.int16], NDArray[np.int64]]:
    """The secret table as far as it was seen, and the kinds with what came before it.

    kinds: rows of ``known``, or the number after the last for the positions to read. Where others
    of ``known`` come before it (NP before FFX) there are several tables, each of the same values:
    a position joins the one that it has values in common with. Which of them is called the first
    changes nothing: the plan is the same.
    """
    table, kinds = np.full(LEVELS, UNKNOWN, np.int16), kinds.copy()
    waiting = np.flatnonzero(kinds == len(known))
    while len(waiting):
        levels, values = plain[:, source[waiting]], encrypted[:, waiting]
        common = np.stack([(table[before[levels]] == values).sum(axis=0) for before in known])
        best = common.argmax(axis=0)
        joins = (common == common.max(axis=0)).sum(axis=0) == 1
        if not joins.any():  # the first of all, or one that shares no value with the rest
            joins[0] = True
        kinds[waiting[joins]] = len(known) + best[joins]
        table[known[best[joins], levels[:, joins]]] = values[:, joins]
        waiting = waiting[~joins]
    return table, kinds
