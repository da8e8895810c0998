"""A plan made soft: what a gradient through the network can change, and the plan nearest to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from seglock.attacks.estimates import ENCRYPTED, NEGATED
from seglock.attacks.ffx_levels import increasing
from seglock.attacks.guesses import Guess
from seglock.attacks.gumbel import assigned, draw_masks, draw_orders
from seglock.attacks.soft_plan import TOP, Parts
from seglock.transforms.ffx import FFX_RANGE, FIXED_PASSWORD, ffx_table
from seglock.transforms.plan import LEVELS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from seglock.attacks.protocol import Facts
    from seglock.steps import Method

_SURE = 1e-3


class RelaxedPlan(nn.Module):
    """Logits of the masks and sources of every position, and of the FFX value of every level.

    They begin at what is public: the share of positions that a step touches, the middle of the
    range for an FFX value; the table of the fixed password is known and stays.
    """

    def __init__(self, facts: Facts) -> None:
        super().__init__()
        self._facts = facts
        self.negated = _mask_logits(facts, "np")
        self.encrypted = _mask_logits(facts, "ffx")
        self.order = _order_logits(facts) if "shf" in facts.methods else None
        self.table: nn.Parameter | None = None
        if "ffx" in facts.methods:
            known = facts.ffx_password == "fixed"  # noqa: S105 - a choice, not a password
            share = ffx_table(FIXED_PASSWORD) / TOP if known else np.full(LEVELS, 0.5)
            start = torch.logit(torch.from_numpy(share).float(), eps=_SURE)
            self.table = nn.Parameter(start, requires_grad=not known)

    @torch.no_grad()
    def begin_negated(self, gain: NDArray[np.float64]) -> None:
        """Move the mask's logits to what each position is known to gain (n,), of deviation 1."""
        assert self.negated is not None
        self.negated.add_(torch.from_numpy(gain).to(self.negated))

    def draw(self, count: int, temperature: float) -> Parts:
        """Plans for ``count`` images, the nearer to the likeliest the lower the temperature."""
        order = None if self.order is None else draw_orders(self.order, count, temperature)
        negated, encrypted = (
            None if logits is None else draw_masks(logits, count, temperature)
            for logits in (self.negated, self.encrypted)
        )
        if self.table is None:
            return Parts(order, negated, encrypted, None, LEVELS - 1)
        table = torch.sigmoid(self.table)
        return Parts(order, negated, encrypted, table, self._facts.ffx_divisor or TOP)

    def hardened(self) -> Guess:
        """The nearest plan of the lock: whole masks, one source a position, one-to-one values."""
        n = self._facts.positions
        order = np.arange(n) if self.order is None else assigned(self.order).cpu().numpy()
        kinds = np.zeros(n, np.int64)
        if self.negated is not None:
            kinds += NEGATED * _likeliest(self._facts, "np", self.negated)
        if self.encrypted is not None:
            kinds += ENCRYPTED * _likeliest(self._facts, "ffx", self.encrypted)
        return Guess(order.astype(np.int64), kinds, self._hard_table())

    def _hard_table(self) -> NDArray[np.int16] | None:
        if self.table is None:
            return None
        if not self.table.requires_grad:
            return ffx_table(FIXED_PASSWORD)
        return permissible(torch.sigmoid(self.table.detach()).double().cpu().numpy())


def permissible(shares: NDArray[np.float64]) -> NDArray[np.int16]:
    """A one-to-one FFX table (256,) near shares, 0 to 1, of the range.

    Its largest value is 999: real tables come near it, and it is what values are divided by.

    >>> permissible(np.linspace(0, 0.5, 256))[[0, 1, 255]].tolist()
    [0, 2, 999]
    """
    rank = np.argsort(shares, kind="stable")
    table = np.empty(LEVELS, np.int16)
    table[rank] = increasing(shares[rank] * TOP, FFX_RANGE)
    table[rank[-1]] = TOP
    return table


def _mask_logits(facts: Facts, method: Method) -> nn.Parameter | None:
    counts = [step.count for step in facts.steps if step.method == method]
    if not counts:
        return None
    share = counts[0] / facts.positions if len(counts) == 1 else 0.5
    return nn.Parameter(torch.logit(torch.full((facts.positions,), share), eps=_SURE))


def _order_logits(facts: Facts) -> nn.Parameter:
    """Even odds under a full shuffle; under partial ones a position is likelier to stay."""
    n = facts.positions
    moved = [step.count / n for step in facts.steps if step.method == "shf"]
    stays = float(np.prod([1 - share for share in moved]))
    odds = 1 + stays * n / max(_SURE, 1 - stays)
    return nn.Parameter(torch.eye(n) * float(np.log(odds)))


def _likeliest(facts: Facts, method: Method, logits: Tensor) -> NDArray[np.int64]:
    """1 at as many positions as the one step touches; of several steps, where 1 is likelier."""
    values = logits.detach().double().cpu().numpy()
    counts = [step.count for step in facts.steps if step.method == method]
    if len(counts) > 1:
        return (values > 0).astype(np.int64)
    chosen = np.zeros(len(values), np.int64)
    chosen[np.argsort(-values, kind="stable")[: counts[0]]] = 1
    return chosen
