"""FFX beside NP and SHF, from ciphertexts alone: which positions, which way round, which levels.

Encrypted positions show wherever they were moved to, since their values leave 0..255. The others
are read first; what is left of each encrypted position is whether its values rise or fall with
them, which the mean of the others, value by value, tells.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from seglock.attacks.estimates import AS_IS, ENCRYPTED, NEGATED, UNKNOWN
from seglock.attacks.ffx_levels import mask_by_range, table_by_neighbours
from seglock.attacks.np_mask import mask_by_pairs, nearer_to_photos
from seglock.evaluation.tally import spread
from seglock.methods import LEVELS, METHODS
from seglock.methods.ffx import FFX_RANGE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from seglock.attacks.protocol import Facts

_ROWS = 1 << 16


def kinds_and_table(
    rows: NDArray[np.int16], photos: NDArray[np.uint8], facts: Facts
) -> tuple[NDArray[np.int64], NDArray[np.int16]]:
    """The kind of table of each position (n,) and the FFX table (256,), -1 for unknown levels.

    rows: ciphertexts (B, n). photos: plain blocks (C, n). Where the password is not public a table
    and the same one reversed, with the opposite kinds, are one plan: either may come.
    """
    encrypted = mask_by_range(rows)
    public = METHODS["ffx"].public_table(facts.ffx_password)
    table = np.full(LEVELS, UNKNOWN, np.int16) if public is None else public
    negated = np.zeros(len(encrypted), bool)
    if encrypted.all():  # nothing plain to read them by
        return np.where(encrypted, ENCRYPTED, AS_IS), table
    if "np" in facts.methods:
        plain = rows[:, ~encrypted].astype(np.uint8)
        negated[~encrypted] = nearer_to_photos(plain, mask_by_pairs(plain), photos)
    read = np.where(negated, LEVELS - 1 - rows, rows)
    if encrypted.any():
        if "np" in facts.methods:
            negated[encrypted] = _falling(read, encrypted, public)
        if public is None:
            table = table_by_neighbours(read, encrypted, facts.block_size, negated)
    return np.where(encrypted, ENCRYPTED, AS_IS) + NEGATED * negated, table


def read_rows(
    rows: NDArray[np.int16], kinds: NDArray[np.int64], table: NDArray[np.int16]
) -> NDArray[np.uint8]:
    """Grey levels of ciphertexts (..., n) of known kinds; still in the order they came in."""
    inverse = np.zeros(FFX_RANGE, np.int16)
    inverse[table[table >= 0]] = np.flatnonzero(table >= 0)
    levels = np.where(kinds >= ENCRYPTED, inverse[rows], rows)
    read: NDArray[np.uint8] = np.where(kinds % 2, LEVELS - 1 - levels, levels).astype(np.uint8)
    return read


def _falling(
    read: NDArray[np.int16], encrypted: NDArray[np.bool_], table: NDArray[np.int16] | None
) -> NDArray[np.bool_]:
    """Which encrypted positions fall where the others rise; without a table, or the others."""
    read = read[list(spread(len(read), _ROWS))]
    usual = read[:, ~encrypted].mean(axis=1)
    usual = usual - usual.mean()
    sums = np.stack(
        [
            np.bincount(column, weights=usual, minlength=FFX_RANGE)
            for column in read[:, encrypted].T
        ],
        axis=1,
    )
    if table is not None:
        falls: NDArray[np.bool_] = (np.arange(LEVELS) - LEVELS / 2) @ sums[table] < 0
        return falls
    alike: NDArray[Any] = sums.T @ sums
    direction = np.linalg.eigh(alike)[1][:, -1]
    opposite: NDArray[np.bool_] = direction < 0
    return opposite
