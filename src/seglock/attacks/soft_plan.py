"""A plan as tensors that a gradient can flow to, and what the network sees under it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from seglock.transforms import INPUT_MEAN, INPUT_STD
from seglock.transforms.ffx import FFX_RANGE
from seglock.transforms.plan import LEVELS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from seglock.attacks.guesses import Guess
    from seglock.attacks.protocol import Facts
    from seglock.steps import Method

TOP = FFX_RANGE - 1


@dataclass(frozen=True, repr=False)
class Parts:
    """A plan, or several, as numbers with a gradient; None where the lock has no such step.

    order: (K, n, n), image b takes number b mod K. negated, encrypted: (..., n) of 0 and 1. table:
    (256,) FFX values as shares of 999. divisor: what values are divided by. They may come to be
    the true plan, and print nothing.
    """

    order: Tensor | None
    negated: Tensor | None
    encrypted: Tensor | None
    table: Tensor | None
    divisor: int


def parts_of(guess: Guess, facts: Facts, device: torch.device) -> Parts:
    """A guess as numbers whose gradients tell what a change of it would do."""

    def leaf(values: NDArray[np.float64], method: Method) -> Tensor | None:
        if method not in facts.methods:
            return None
        return torch.from_numpy(values).float().to(device).requires_grad_()

    table, divisor = None, LEVELS - 1
    if guess.table is not None:
        divisor = facts.ffx_divisor or int(guess.table.max())
        table = torch.from_numpy(guess.table / TOP).float().to(device)
    return Parts(
        leaf(np.eye(facts.positions)[guess.permutation][None], "shf"),
        leaf((guess.kinds % 2).astype(float), "np"),
        leaf((guess.kinds // 2).astype(float), "ffx"),
        table,
        divisor,
    )


def inputs_under(parts: Parts, rows: Tensor, facts: Facts) -> Tensor:
    """What the network sees of blocks (B, h, w, n) of grey levels: blocks of inputs.

    For whole plans what `Transform.to_input` gives, but for rounding.
    """
    top = LEVELS - 1
    seen = _moved(rows / top, parts.order)
    seen = _mixed(seen, 1 - seen, parts.negated) * (top / parts.divisor)
    if parts.table is not None:
        levels = rows.long()
        hidden = _moved(parts.table[levels], parts.order)
        if parts.negated is not None:
            other = _moved(parts.table[top - levels], parts.order)
            hidden = _mixed(hidden, other, parts.negated)
        seen = _mixed(seen, hidden * (TOP / parts.divisor), parts.encrypted)
    mean, std = (
        torch.tensor(values, device=rows.device).repeat(facts.positions // 3)
        for values in (INPUT_MEAN, INPUT_STD)
    )
    return (seen - mean) / std


def _moved(values: Tensor, order: Tensor | None) -> Tensor:
    if order is None:
        return values
    if len(order) == 1:
        return values @ order[0].T
    turn = torch.arange(len(values), device=values.device) % len(order)
    return torch.einsum("bhwj,bij->bhwi", values, order[turn])


def _mixed(one: Tensor, other: Tensor, share: Tensor | None) -> Tensor:
    return one if share is None else one + share * (other - one)
