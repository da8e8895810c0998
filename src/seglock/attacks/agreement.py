"""How much of the true plan an estimate has, and of a picture one decrypted with it.

For the judge only: it holds the secret.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from seglock.methods import LEVELS
from seglock.transforms.plan import COMPLEMENT, IDENTITY, Plan

if TYPE_CHECKING:
    from numpy.typing import NDArray

_WINDOW = 7
_C1, _C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
_NARROW, _TURNED, _WIDE = range(3)


@dataclass(frozen=True)
class Agreement:
    """An estimated plan beside the true one.

    share and best: as `shares` has them. chance: what a random plan of the lock has on average,
    before a complement: 1/2 for a mask of half the positions, 1/n for a permutation. whole: the
    two are the same in everything. table_error: how many grey levels an FFX value is read wrong
    by, on average; None without FFX.
    """

    share: float
    best: float
    chance: float
    whole: bool
    table_error: float | None

    @property
    def is_found(self) -> bool:
        """Whether every position is read right, FFX values to a grey level or better on average."""
        return self.share == 1.0 and (self.table_error or 0.0) <= 1.0

    def to_dict(self) -> dict[str, Any]:
        """As in the owner's JSON."""
        return {
            "plan_agreement": self.best,
            "plan_agreement_exact": self.share,
            "chance": self.chance,
            "whole_plan": self.whole,
            "table_error": self.table_error,
        }


def agreement(estimate: Plan, truth: Plan, weights: NDArray[Any]) -> Agreement:
    """Compare two plans; ``weights`` (256,) say how often each grey level occurs.

    >>> from seglock.transforms.plan import identity_plan
    >>> agreement(identity_plan(2), identity_plan(2), np.ones(256)).share
    1.0
    """
    moved = bool((truth.permutation != np.arange(truth.size)).any())
    right = _kinds(truth)
    frequency = np.bincount(right, minlength=3) / truth.size
    share, best = shares(estimate, truth)
    return Agreement(
        share=share,
        best=best,
        chance=float((frequency**2).sum()) / (truth.size if moved else 1),
        whole=estimate.equals(truth),
        table_error=_table_error(estimate, truth, weights) if _WIDE in right else None,
    )


def shares(estimate: Plan, truth: Plan) -> tuple[float, float]:
    """The share of positions with the right source and kind of table (x, 255 - x, FFX), 0 to 1.

    Then the same up to a global complement of the NP mask, which a thief who lacks a brightness
    to go by cannot settle; without NP they are equal.
    """
    source = estimate.permutation == truth.permutation
    mine, right = _kinds(estimate), _kinds(truth)
    turned = np.where(mine == _WIDE, _WIDE, 1 - mine)
    share = float((source & (mine == right)).mean())
    return share, max(share, float((source & (turned == right)).mean()))


def _kinds(plan: Plan) -> NDArray[np.int64]:
    """The kind of table of each position; one that negates counts by its nearer end."""
    kinds = [
        _WIDE
        if not (np.array_equal(row, IDENTITY) or np.array_equal(row, COMPLEMENT))
        else _TURNED
        if row[0]
        else _NARROW
        for row in plan.tables
    ]
    return np.array(kinds)[plan.selector]


def _table_error(estimate: Plan, truth: Plan, weights: NDArray[Any]) -> float | None:
    both = (_kinds(estimate) == _WIDE) & (_kinds(truth) == _WIDE)
    kinds = np.stack([truth.selector[both], estimate.selector[both]], axis=1)
    pairs, counts = np.unique(kinds, axis=0, return_counts=True)
    if not len(pairs) or not weights.sum():
        return None
    levels = np.arange(LEVELS)
    errors = [
        np.abs(read_levels(estimate.tables[mine], truth.tables[right]) - levels) @ weights
        for right, mine in pairs
    ]
    return float(np.average(errors, weights=counts) / weights.sum())


def read_levels(table: NDArray[np.int16], values: NDArray[Any]) -> NDArray[np.int64]:
    """The grey levels that a table reads in encrypted values: the nearest that it can give."""
    order = np.argsort(table, kind="stable")
    ordered = table[order].astype(np.int64)
    above = np.searchsorted(ordered, values).clip(1, LEVELS - 1)
    below = above - 1
    nearer = np.abs(values - ordered[below]) <= np.abs(ordered[above] - values)
    levels: NDArray[np.int64] = order[np.where(nearer, below, above)]
    return levels


def read_images(plan: Plan, blocks: NDArray[Any]) -> NDArray[np.uint8]:
    """Decrypt blocks (B, n) under an estimate, reading impossible values as the nearest."""
    plain = np.empty(blocks.shape, np.uint8)
    for row, table in enumerate(plan.tables):
        chosen = np.flatnonzero(plan.selector == row)
        inverse = read_levels(table, np.arange(-1, 1000)).astype(np.uint8)
        plain[:, plan.permutation[chosen]] = inverse[blocks[:, chosen].astype(np.int64) + 1]
    return plain


def psnr(images: NDArray[np.uint8], originals: NDArray[np.uint8]) -> float:
    """Peak signal-to-noise ratio in dB over all images; 100 where they are equal.

    >>> round(psnr(np.zeros((1, 3, 8, 8), np.uint8), np.full((1, 3, 8, 8), 255, np.uint8)), 3)
    0.0
    """
    error = float(((images.astype(np.float64) - originals) ** 2).mean())
    return 100.0 if error == 0 else min(100.0, float(10 * np.log10(255**2 / error)))


def ssim(images: NDArray[np.uint8], originals: NDArray[np.uint8]) -> float:
    """Mean structural similarity, windows of 7 x 7 with equal weights, over all channels.

    Source: Wang et al., "Image Quality Assessment: From Error Visibility to Structural
    Similarity" (2004), with the constants given there.
    """
    x, y = (torch.from_numpy(values).double() for values in (images, originals))
    window = min(_WINDOW, *x.shape[-2:])

    def mean(values: Tensor) -> Tensor:
        return F.avg_pool2d(values, window, stride=1)

    mx, my = mean(x), mean(y)
    vx, vy, vxy = mean(x * x) - mx * mx, mean(y * y) - my * my, mean(x * y) - mx * my
    likeness = (2 * mx * my + _C1) * (2 * vxy + _C2)
    likeness = likeness / ((mx * mx + my * my + _C1) * (vx + vy + _C2))
    return float(likeness.mean())
