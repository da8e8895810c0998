"""FFX from ciphertexts alone, also beside NP and SHF: which positions and levels, which way round.

Encrypted positions show wherever they were moved to, since their values leave 0..255. The others
are read first; what is left of each encrypted position is whether its values rise or fall with
them, which the mean of the others, value by value, tells.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from seglock.attacks.estimates import AS_IS, ENCRYPTED, NEGATED, UNKNOWN
from seglock.attacks.np_mask import mask_by_pairs, nearer_to_photos
from seglock.evaluation.tally import spread
from seglock.methods import LEVELS, METHODS
from seglock.methods.ffx import FFX_RANGE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from seglock.attacks.protocol import Facts

_ROWS = 1 << 16
_ROUNDS = 4
_SHRINK = 0.5
_COVARIED = 768
"""Positions up to which each is predicted from all others; beyond, from the pixels around it."""


def kinds_and_table(
    rows: NDArray[np.int16], photos: NDArray[np.uint8], facts: Facts
) -> tuple[NDArray[np.int64], NDArray[np.int16]]:
    """The kind of table of each position (n,) and the FFX table (256,), -1 for unknown levels.

    rows: ciphertexts (B, n). photos: plain blocks (C, n). Where the password is not public a table
    and the same one reversed, with the opposite kinds, are one plan: either may come.
    """
    encrypted: NDArray[np.bool_] = rows.max(axis=0) >= LEVELS  # those that ever pass 255
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


def table_by_neighbours(
    rows: NDArray[np.int16],
    mask: NDArray[np.bool_],
    block_size: int,
    negated: NDArray[np.bool_],
) -> NDArray[np.int16]:
    """The FFX table (256,), -1 for levels that never occurred.

    rows: (B, n), its plain positions as they are. negated: (n,), the encrypted positions that hold
    FFX(255 - x).

    A first guess ranks the encrypted values by the mean of the plain positions around them. Then,
    in turns: the block is read with the guess, each encrypted position is predicted from all
    other positions, and values are ranked by the mean of those predictions. Ranks become levels
    through the distribution of the plain positions.
    """
    rows = rows[list(spread(len(rows), _ROWS))]
    hidden = rows[:, mask]
    values, index = np.unique(hidden, return_inverse=True)
    index = index.reshape(hidden.shape)
    counts = np.bincount(index.reshape(-1), minlength=len(values))
    usual = rows[:, ~mask].clip(0, LEVELS - 1).astype(np.int64)
    turned = negated[mask]
    known = np.bincount(usual.reshape(-1), minlength=LEVELS)
    known = (1 - turned.mean()) * known + turned.mean() * known[::-1]
    read = rows.astype(np.float32)
    guess = np.broadcast_to(usual.mean(axis=1, keepdims=True), hidden.shape)
    small = rows.shape[1] <= _COVARIED
    for _ in range(_ROUNDS):
        levels = _levels(_mean_by(index, _turned(guess, turned), counts), counts, known)
        read[:, mask] = _turned(levels[index], turned)
        guess = _predicted(read, mask) if small else _surrounding(read, block_size)[:, mask]
    levels = _levels(_mean_by(index, _turned(guess, turned), counts), counts, known)
    table = np.full(LEVELS, UNKNOWN, np.int16)
    table[levels[:LEVELS]] = values[:LEVELS]
    return table


def _turned(values: NDArray[Any], turned: NDArray[np.bool_]) -> NDArray[Any]:
    turned_values: NDArray[Any] = np.where(turned, LEVELS - 1 - values, values)
    return turned_values


def _mean_by(
    index: NDArray[np.int64], guess: NDArray[Any], counts: NDArray[np.int64]
) -> NDArray[np.float64]:
    total = np.bincount(index.reshape(-1), weights=guess.reshape(-1), minlength=len(counts))
    mean: NDArray[np.float64] = total / counts
    return mean


def _levels(
    score: NDArray[np.float64], counts: NDArray[np.int64], known: NDArray[Any]
) -> NDArray[np.int64]:
    """A level for each encrypted value: their order by score, their places by distribution."""
    order = np.argsort(score, kind="stable")
    above = np.cumsum(known) / known.sum()
    share = (np.cumsum(counts[order]) - counts[order] / 2) / counts.sum()
    wanted = np.searchsorted(above, share).astype(np.float64)
    levels = np.empty(len(order), np.int64)
    levels[order] = increasing(wanted, LEVELS)
    return levels


def increasing(wanted: NDArray[np.float64], limit: int) -> NDArray[np.int64]:
    """Strictly increasing whole numbers below ``limit`` near the wanted ones, where they fit.

    >>> increasing(np.array([0.0, 0.0, 5.0, 4.0]), 8).tolist()
    [0, 1, 4, 5]
    """
    from scipy.optimize import isotonic_regression

    room = max(0, limit - len(wanted))
    steps: NDArray[np.float64] = isotonic_regression(wanted - np.arange(len(wanted))).x
    levels = np.rint(steps).clip(0, room).astype(np.int64) + np.arange(len(wanted))
    return levels.clip(0, limit - 1)


def _predicted(read: NDArray[np.float32], mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Each encrypted position from all the others, by the inverse of their covariance."""
    mean = read.mean(axis=0)
    centred = read - mean
    cover = centred.T.astype(np.float64) @ centred / len(read)
    # Few blocks fit many positions too well: the fewer, the more the diagonal is raised.
    cover[np.diag_indices_from(cover)] += _SHRINK * cover.trace() / len(read) + 1.0
    inverse = np.linalg.inv(cover)
    weights = -inverse[:, mask] / inverse.diagonal()[mask]
    weights[np.flatnonzero(mask), np.arange(int(mask.sum()))] = 0
    predicted: NDArray[np.float32] = centred @ weights.astype(np.float32) + mean[mask]
    return predicted


def _surrounding(read: NDArray[np.float32], block_size: int) -> NDArray[np.float32]:
    """The mean of the same channel's pixels above, below, left and right, inside the block."""
    block = read.reshape(len(read), block_size, block_size, 3)
    total, count = np.zeros_like(block), np.zeros((block_size, block_size, 1), np.float32)
    for axis in (1, 2):
        low = (slice(None),) * axis + (slice(None, -1),)
        high = (slice(None),) * axis + (slice(1, None),)
        total[low] += block[high]
        total[high] += block[low]
        count[low[1:]] += 1
        count[high[1:]] += 1
    around: NDArray[np.float32] = (total / count).reshape(read.shape)
    return around
