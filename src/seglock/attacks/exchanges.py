"""Exchanges of two positions that the gradient promises most from: what a guided climb tries."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seglock.attacks.blocks import grid_images
from seglock.attacks.soft_plan import inputs_under, kinds_of, soft_plan
from seglock.data import VOID
from seglock.transforms.exchange import exchanged, neighbour

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from seglock.attacks.budget import Meter
    from seglock.attacks.protocol import Facts
    from seglock.transforms.plan import Plan

_SIDE = 128
"""Positions of each kind among whose pairs exchanges of kinds are ranked."""
_RANKED = 4096
_BATCH = 16
"""Images of one backward pass, as in training."""
_KICKS = (2, 5)
"""Exchanges made at once where none helps by itself: from, and below."""

Exchange = tuple[float, bool, int, int]
"""The change of the loss to expect, whether tables change places or sources do, two positions."""


class GuidedMoves:
    """Neighbours of the best guess, those first that a gradient at it says help most.

    Each gradient is a query. Where all exchanges have been tried, several at once, by chance.
    """

    def __init__(
        self, facts: Facts, network: nn.Module, rows: Tensor, masks: Tensor, meter: Meter, seed: int
    ) -> None:
        """rows: (B, h, w, n) blocks of grey levels; masks: (B, S, S) their labels."""
        self._facts, self._network, self._meter = facts, network, meter
        self._rows, self._masks = rows, masks
        self._rng = np.random.default_rng([seed, 3])
        self._of: Plan | None = None
        self._ranked: list[Exchange] = []

    def __call__(self, best: Plan, count: int) -> Sequence[Plan]:
        """Up to ``count`` changed guesses; none where the gradient took the last query."""
        if best is not self._of:
            self._of, self._ranked = best, self._rank(best)
            count = min(count, self._meter.left)
        some, self._ranked = self._ranked[:count], self._ranked[count:]
        return [exchanged(best, *pair, tables=tables) for _, tables, *pair in some] or [
            self._kicked(best) for _ in range(count)
        ]

    def _kicked(self, best: Plan) -> Plan:
        for _ in range(self._rng.integers(*_KICKS)):
            best = neighbour(best, self._rng, shuffles=self._facts.shuffles)
        return best

    def _rank(self, best: Plan) -> list[Exchange]:
        plan = soft_plan(best, self._facts, self._rows.device)
        own = [*plan.masks, *([] if plan.order is None else [plan.order])]
        total = [torch.zeros_like(part) for part in own]
        batches = [torch.split(some, _BATCH) for some in (self._rows, self._masks)]
        for rows, masks in zip(*batches, strict=True):
            inputs = grid_images(inputs_under(plan, rows, self._facts), self._facts.block_size)
            logits = self._network(inputs)["out"].float()
            loss = F.cross_entropy(logits, masks.long(), ignore_index=VOID, reduction="sum")
            slopes = torch.autograd.grad(loss, own, allow_unused=True, materialize_grads=True)
            for slope, more in zip(total, slopes, strict=True):
                slope += more
        self._meter.spend()
        found = [part.double().cpu().numpy() for part in total]
        moves = [] if plan.order is None else _sources(best, found.pop()[0])
        return sorted(moves + _kinds(kinds_of(best, self._facts)[0], found))


def _sources(of: Plan, slope: NDArray[np.float64]) -> list[Exchange]:
    """The best exchanges of sources; slope: (n, n), of the loss by position and source."""
    other = slope[:, of.permutation]
    own = other.diagonal()
    first, second = np.triu_indices(len(own), 1)
    change = (other + other.T - own[:, None] - own[None])[first, second]
    kept = np.argsort(change, kind="stable")[:_RANKED]
    return [(float(change[i]), False, int(first[i]), int(second[i])) for i in kept]


def _kinds(of: NDArray[np.int64], slopes: Sequence[NDArray[np.float64]]) -> list[Exchange]:
    """The best exchanges of kinds of table (n,), from slopes (n,) of the loss by each mask."""
    moves: list[Exchange] = []
    for one, other in combinations(np.unique(of).tolist(), 2):
        toward = np.zeros(len(of))
        for bit, slope in enumerate(slopes):
            toward += ((other >> bit & 1) - (one >> bit & 1)) * slope
        sides = [np.flatnonzero(of == kind) for kind in (one, other)]
        a = sides[0][np.argsort(toward[sides[0]], kind="stable")[:_SIDE]]
        b = sides[1][np.argsort(-toward[sides[1]], kind="stable")[:_SIDE]]
        change = toward[a][:, None] - toward[b][None]
        kept = np.argsort(change, axis=None, kind="stable")[:_RANKED]
        pairs = zip(*np.unravel_index(kept, change.shape), strict=True)
        moves += [(float(change[i, j]), True, int(a[i]), int(b[j])) for i, j in pairs]
    return moves
