"""A linear regression of score on mask: which positions a network would rather have touched."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from seglock.attacks.climb import Found, Judged
from seglock.attacks.guesses import guess, touched
from seglock.methods import METHODS
from seglock.methods.method import Change
from seglock.transforms.sequence import changed

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from seglock.attacks.budget import Meter
    from seglock.attacks.protocol import Facts

_AT_ONCE = 8
_FIRST = 1_000_000
"""Number of the first random mask: smaller ones are drawn by searches."""
_RIDGE = 1.0


def regress_masks(
    facts: Facts, judged: Judged, meter: Meter, seed: int, start: Found, *, share: float
) -> tuple[Found, NDArray[np.float64]]:
    """How much touching each position lowers the score (n,), in standard deviations of all.

    Random masks of a lock of one step, whose table everyone knows, are scored until ``share`` of
    the budget is spent. The mask of the positions that gain most is scored as well: the first
    result is the better of it and ``start``.
    """
    masks: list[NDArray[np.bool_]] = []
    scores: list[float] = []
    while not meter.exhausted and (meter.share < share or not scores):
        count = max(1, min(_AT_ONCE, meter.left))
        drawn = [guess(facts, seed, _FIRST + len(masks) + i) for i in range(count)]
        scores += judged(drawn).tolist()
        masks += [touched(one) for one in drawn]
        meter.spend(count)
    gain = gains(np.array(masks, float), np.array(scores), facts.positions)
    found = start
    if not meter.exhausted:
        (step,) = facts.steps
        table = METHODS[step.method].public_table(facts.ffx_password)
        chosen = np.argsort(-gain, kind="stable")[: step.count]
        likeliest = changed(step, Change(chosen, table=table))
        (score,) = judged([likeliest]).tolist()
        meter.spend()
        if score < found.score:
            found = Found.after(found, likeliest, score, meter)
    return found, gain


def gains(
    masks: NDArray[np.float64], scores: NDArray[np.float64], positions: int
) -> NDArray[np.float64]:
    """Ridge regression of scores (K,) on masks (K, n): minus the slopes, of deviation 1.

    >>> int(gains(np.eye(3)[[0, 1, 2, 0]], np.array([0.0, 1.0, 1.0, 0.0]), 3).argmax())
    0
    """
    if len(scores) < 2:
        return np.zeros(positions)
    centred = masks - masks.mean(axis=0)
    normal = centred.T @ centred + _RIDGE * np.eye(positions)
    slope = np.linalg.solve(normal, centred.T @ (scores - scores.mean()))
    spread = slope.std()
    gain: NDArray[np.float64] = -slope / spread if spread > 0 else np.zeros(positions)
    return gain
