"""The FFX mask and table from ciphertexts alone: its values leave 0..255, its neighbours do not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from seglock.attacks.estimates import UNKNOWN
from seglock.evaluation.tally import spread
from seglock.methods import LEVELS

if TYPE_CHECKING:
    from numpy.typing import NDArray

_ROWS = 1 << 16
_ROUNDS = 4
_SHRINK = 0.5
_COVARIED = 768
"""Positions up to which each is predicted from all others; beyond, from the pixels around it."""


def mask_by_range(rows: NDArray[np.int16]) -> NDArray[np.bool_]:
    """Which positions of (B, n) ciphertexts are encrypted (n,): those that ever pass 255."""
    mask: NDArray[np.bool_] = rows.max(axis=0) >= LEVELS
    return mask


def table_by_neighbours(
    rows: NDArray[np.int16],
    mask: NDArray[np.bool_],
    block_size: int,
    negated: NDArray[np.bool_] | None = None,
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
    turned = np.zeros(hidden.shape[1], bool) if negated is None else negated[mask]
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
    room = max(0, limit - len(wanted))
    steps = _isotonic(wanted - np.arange(len(wanted)))
    levels = np.rint(steps).clip(0, room).astype(np.int64) + np.arange(len(wanted))
    return levels.clip(0, limit - 1)


def _isotonic(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The non-decreasing sequence nearest to ``values``: neighbours that fall are pooled."""
    pools: list[tuple[float, int]] = []
    for value in values:
        total, count = float(value), 1
        while pools and pools[-1][0] / pools[-1][1] >= total / count:
            before = pools.pop()
            total, count = total + before[0], count + before[1]
        pools.append((total, count))
    return np.repeat([total / count for total, count in pools], [count for _, count in pools])


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
