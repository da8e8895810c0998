"""A plan made soft: what a gradient through the network can change, and the plan nearest to it.

Masks and permutations are drawn from logits after "The Concrete Distribution" (Maddison et al.,
2017) and "Learning Latent Permutations with Gumbel-Sinkhorn Networks" (Mena et al., 2018), straight
through: hard forwards, soft backwards. The network only ever sees values that a plan can give,
since it tells little about the grey in between.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from seglock.attacks.estimates import estimated_plan
from seglock.attacks.ffx_levels import increasing
from seglock.attacks.soft_plan import SoftPlan, kind_tables, learnt
from seglock.methods import LEVELS, METHODS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from seglock.attacks.protocol import Facts
    from seglock.transforms.plan import Plan

SINKHORN = 10
_ENTRIES = 1 << 18
"""Entries of all permutations drawn at once, at most: more would cost the attack steps."""
_EDGE = 1e-6
_SURE = 1e-3


class RelaxedPlan(nn.Module):
    """Logits of the masks and sources of every position, and of every level's value in a table.

    They begin at what is public: the share of positions that a step touches, the middle of the
    range for a secret value; a table that everyone knows stays.
    """

    def __init__(self, facts: Facts) -> None:
        super().__init__()
        self._facts = facts
        self.masks = nn.ParameterList(_mask_logits(facts, m.name) for m in facts.substitutes)
        self.order = _order_logits(facts) if facts.shuffles else None
        self.table: nn.Parameter | None = None
        method = learnt(facts)
        if method is not None:
            known = method.public_table(facts.ffx_password)
            share = np.full(LEVELS, 0.5) if known is None else known / (method.reach - 1)
            start = torch.logit(torch.from_numpy(share).float(), eps=_SURE)
            self.table = nn.Parameter(start, requires_grad=known is None)

    @torch.no_grad()
    def begin_touched(self, gain: NDArray[np.float64]) -> None:
        """Move the one mask's logits to what each position gains (n,), of deviation 1."""
        (logits,) = self.masks
        logits.add_(torch.from_numpy(gain).to(logits))

    def draw(self, count: int, temperature: float) -> SoftPlan:
        """Plans for ``count`` images, the nearer to the likeliest the lower the temperature."""
        order = None if self.order is None else draw_orders(self.order, count, temperature)
        masks = [draw_masks(logits, count, temperature) for logits in self.masks]
        table = None if self.table is None else torch.sigmoid(self.table)
        top = self._facts.reach - 1
        divisor = (self._facts.ffx_divisor or top) if top >= LEVELS else top
        return SoftPlan(order, masks, table, divisor)

    def hardened(self) -> Plan:
        """The nearest plan of the lock: whole masks, one source a position, one-to-one values."""
        facts = self._facts
        order = np.arange(facts.positions)
        if self.order is not None:
            order = assigned(self.order).cpu().numpy()
        kinds = np.zeros(facts.positions, np.int64)
        for bit, (method, logits) in enumerate(zip(facts.substitutes, self.masks, strict=True)):
            kinds += _likeliest(facts, method.name, logits) << bit
        return estimated_plan(facts, order, kinds, kind_tables(facts, self._hard_table()))

    def _hard_table(self) -> NDArray[np.int16] | None:
        method = learnt(self._facts)
        if self.table is None or method is None:
            return None
        known = method.public_table(self._facts.ffx_password)
        if known is not None:
            return known
        return permissible(torch.sigmoid(self.table.detach()).double().cpu().numpy(), method.reach)


def permissible(shares: NDArray[np.float64], reach: int) -> NDArray[np.int16]:
    """A one-to-one table (256,) into 0 .. reach - 1 near shares, 0 to 1, of that range.

    Its largest value is the last: real tables come near it, and it is what values are divided by.

    >>> permissible(np.linspace(0, 0.5, 256), 1000)[[0, 1, 255]].tolist()
    [0, 2, 999]
    """
    rank = np.argsort(shares, kind="stable")
    table = np.empty(LEVELS, np.int16)
    table[rank] = increasing(shares[rank] * (reach - 1), reach)
    table[rank[-1]] = reach - 1
    return table


def _mask_logits(facts: Facts, method: str) -> nn.Parameter:
    counts = [step.count for step in facts.steps if step.method == method]
    share = counts[0] / facts.positions if len(counts) == 1 else 0.5
    return nn.Parameter(torch.logit(torch.full((facts.positions,), share), eps=_SURE))


def _order_logits(facts: Facts) -> nn.Parameter:
    """Even odds under a full shuffle; under partial ones a position is likelier to stay."""
    n = facts.positions
    moved = [step.count / n for step in facts.steps if METHODS[step.method].moves]
    stays = float(np.prod([1 - share for share in moved]))
    odds = 1 + stays * n / max(_SURE, 1 - stays)
    return nn.Parameter(torch.eye(n) * float(np.log(odds)))


def _likeliest(facts: Facts, method: str, logits: Tensor) -> NDArray[np.int64]:
    """1 at as many positions as the one step touches; of several steps, where 1 is likelier."""
    values = logits.detach().double().cpu().numpy()
    counts = [step.count for step in facts.steps if step.method == method]
    if len(counts) > 1:
        return (values > 0).astype(np.int64)
    chosen = np.zeros(len(values), np.int64)
    chosen[np.argsort(-values, kind="stable")[: counts[0]]] = 1
    return chosen


def sinkhorn(logits: Tensor, rounds: int = SINKHORN) -> Tensor:
    """Nearly doubly stochastic matrices (..., n, n): rows and columns normalised in turns.

    >>> torch.round(sinkhorn(torch.eye(2) * 9), decimals=2).tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    for _ in range(rounds):
        logits = logits - torch.logsumexp(logits, dim=-1, keepdim=True)
        logits = logits - torch.logsumexp(logits, dim=-2, keepdim=True)
    return logits.exp()


def assigned(logits: Tensor) -> Tensor:
    """The likeliest source of each position (n,), every source once, from logits (n, n)."""
    from scipy.optimize import linear_sum_assignment

    found = linear_sum_assignment(-logits.detach().double().cpu().numpy())[1]
    return torch.from_numpy(found).to(logits.device)


def draw_masks(logits: Tensor, count: int, temperature: float) -> Tensor:
    """Masks (count, 1, 1, n) of 0 and 1."""
    soft = torch.sigmoid(
        (logits + torch.logit(_uniform((count, 1, 1, len(logits)), logits))) / temperature
    )
    return _straight_through((soft > 0.5).to(soft.dtype), soft)


def draw_orders(logits: Tensor, count: int, temperature: float) -> Tensor:
    """Permutation matrices (K, n, n), K at most ``count``."""
    count = max(1, min(count, _ENTRIES // logits.numel()))
    noisy = logits - torch.log(-torch.log(_uniform((count, *logits.shape), logits)))
    hard = torch.zeros_like(noisy)
    for one, order in zip(hard, noisy, strict=True):
        one[torch.arange(len(logits), device=logits.device), assigned(order)] = 1
    return _straight_through(hard, sinkhorn(noisy / temperature))


def _uniform(shape: tuple[int, ...], like: Tensor) -> Tensor:
    return torch.rand(shape, device=like.device).clamp(_EDGE, 1 - _EDGE)


def _straight_through(hard: Tensor, soft: Tensor) -> Tensor:
    return hard + soft - soft.detach()
