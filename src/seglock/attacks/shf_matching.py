"""The SHF permutation from ciphertexts alone: correlations keep their shape under new names.

The correlation of positions i and j of shuffled blocks is that of positions p(i) and p(j) of plain
ones, which anyone's photos tell. Correlations within a block are the same when it is turned or
mirrored; those with the block to the right and with the one below are not, and settle it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from seglock.evaluation.tally import spread

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

_BLOCKS = 1 << 16
_FRANK_WOLFE = 30


def statistics(grid: NDArray[np.uint8]) -> NDArray[np.float64]:
    """What is compared: covariances (3, n, n) within a block, with its right, with its lower one.

    grid: (N, rows, columns, n) blocks. Scaled to a mean variance of 1.
    """
    images = max(1, _BLOCKS // (grid.shape[1] * grid.shape[2]))
    values = grid[list(spread(len(grid), images))].astype(np.float32)
    values = values - values.mean(axis=(0, 1, 2))
    matrices = [_covariance(values, values)]
    for one, other in (
        (values[:, :, :-1], values[:, :, 1:]),
        (values[:, :-1], values[:, 1:]),
    ):
        matrices.append(_covariance(one, other) if one.size else np.zeros_like(matrices[0]))
    scale = matrices[0].diagonal().mean()
    found: NDArray[np.float64] = np.stack(matrices) / (scale or 1.0)
    return found


def match(
    seen: NDArray[np.float64],
    public: NDArray[np.float64],
    rng: np.random.Generator,
    go_on: Callable[[float], bool],
) -> tuple[NDArray[np.int64], float]:
    """The permutation p with ``seen[:, i, j]`` nearest to ``public[:, p[i], p[j]]``, and its error.

    Starts again and again, from profiles, then from chance, while ``go_on`` with the least error
    so far allows; each start is relaxed and rounded (Frank-Wolfe over doubly stochastic matrices;
    Vogelstein et al., "Fast Approximate Quadratic Programming for Graph Matching", 2015), then
    improved by exchanging two positions as long as that helps.
    """
    best, least, first = np.arange(seen.shape[1]), np.inf, True
    while first or go_on(least):
        start = _by_profile(seen, public) if first else _by_chance(seen.shape[1], rng)
        found = _exchanged(seen, public, _relaxed(seen, public, start))
        error = float(((seen - public[:, found][:, :, found]) ** 2).mean())
        if error < least:
            best, least = found, error
        first = False
    return best, least


def _covariance(one: NDArray[np.float32], other: NDArray[np.float32]) -> NDArray[np.float64]:
    a, b = (values.reshape(-1, values.shape[-1]) for values in (one, other))
    return (a.T @ b).astype(np.float64) / len(a)


def _by_profile(seen: NDArray[np.float64], public: NDArray[np.float64]) -> NDArray[np.float64]:
    """A start from what a position has whatever the others are called: its sorted correlations."""
    profiles = [
        np.concatenate([np.sort(side, axis=1) for m in matrices for side in (m, m.T)], axis=1)
        for matrices in (seen, public)
    ]
    squares = [(profile**2).sum(axis=1) for profile in profiles]
    distance = squares[0][:, None] + squares[1][None] - 2 * profiles[0] @ profiles[1].T
    start = np.exp(-distance / (np.median(distance) * 0.1 + 1e-12)) + 1e-6
    return _balanced(start)


def _by_chance(size: int, rng: np.random.Generator) -> NDArray[np.float64]:
    return _balanced(0.5 / size + 0.5 * rng.random((size, size)) / size)


def _balanced(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    for _ in range(20):
        matrix = matrix / matrix.sum(axis=1, keepdims=True)
        matrix = matrix / matrix.sum(axis=0, keepdims=True)
    return matrix


def _relaxed(
    seen: NDArray[np.float64], public: NDArray[np.float64], start: NDArray[np.float64]
) -> NDArray[np.int64]:
    from scipy.optimize import linear_sum_assignment

    current = start
    for _ in range(_FRANK_WOLFE):
        gradient = _gradient(seen, public, current)
        rows, columns = linear_sum_assignment(-gradient)
        corner = np.zeros_like(current)
        corner[rows, columns] = 1
        step = corner - current
        # Along the step the agreement is a parabola: its coefficients give the best share.
        slope, bend = (gradient * step).sum(), (_gradient(seen, public, step) * step).sum() / 2
        share = 1.0 if bend >= 0 else min(1.0, -slope / (2 * bend))
        current = current + share * step
        if share * np.abs(step).max() < 1e-4:
            break
    return np.asarray(linear_sum_assignment(-current)[1])


def _gradient(
    seen: NDArray[np.float64], public: NDArray[np.float64], x: NDArray[np.float64]
) -> NDArray[np.float64]:
    total = np.zeros_like(x)
    for a, b in zip(seen, public, strict=True):
        total += a @ x @ b.T + a.T @ x @ b
    return total


def _exchanged(
    seen: NDArray[np.float64], public: NDArray[np.float64], found: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Exchange the two positions that help most, until no exchange helps."""
    found = found.copy()
    for _ in range(20 * len(found)):
        gain = _gains(seen, public[:, found][:, :, found])
        best = int(gain.argmax())
        one, other = divmod(best, len(found))
        if gain[one, other] <= 1e-9:
            break
        found[[one, other]] = found[[other, one]]
    return found


def _gains(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """What exchanging two positions of b adds to the sum of a * b, for every two, (n, n)."""
    gain = np.zeros(a.shape[1:])
    for one, other in zip(a, b, strict=True):
        for left, right in ((one, other), (one.T, other.T)):
            cross = left @ right.T
            own = cross.diagonal()
            gain += cross + cross.T - own[:, None] - own[None]
            # The sums over k include k = i and k = j, which an exchange treats differently.
            d, e = left.diagonal(), right.diagonal()
            gain -= (d[:, None] - left.T) * (right.T - e[:, None])
            gain -= (left - d[None]) * (e[None] - right)
        d, e = one.diagonal(), other.diagonal()
        gain += (d[:, None] - d[None]) * (e[None] - e[:, None])
        gain += (one - one.T) * (other.T - other)
    return gain
