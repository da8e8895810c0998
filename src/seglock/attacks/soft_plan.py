"""A plan as tensors that a gradient can flow to, and what the network sees under it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from seglock.methods import LEVELS
from seglock.transforms.plan import COMPLEMENT, IDENTITY

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from seglock.attacks.protocol import Facts
    from seglock.methods import Method
    from seglock.transforms.plan import Plan


@dataclass(frozen=True, repr=False)
class SoftPlan:
    """A plan, or several, as numbers with a gradient.

    order: (K, n, n), image b takes number b mod K; None where nothing moves. masks: of 0 and 1,
    (..., n), one for each of ``facts.substitutes``. table: (256,) of `learnt`, as shares of its
    range; None without one. divisor: what values are divided by. They may come to be the true
    plan, and print nothing.
    """

    order: Tensor | None
    masks: Sequence[Tensor]
    table: Tensor | None
    divisor: int


def learnt(facts: Facts) -> Method | None:
    """The method whose table is a tensor: the last one, if it is secret or leaves 0..255."""
    last = facts.substitutes[-1:]
    return next((m for m in last if m in facts.secret_tables or m.reach > LEVELS), None)


def kinds_of(plan: Plan, facts: Facts) -> tuple[NDArray[np.int64], NDArray[np.int16] | None]:
    """What a plan does to each position, (n,), and the table of `learnt`, if any position has it.

    Bit i is set where the table of method i of ``facts.substitutes`` is part of the position's.
    A secret table and the same after another method's are one plan: the first to be met is taken.
    """
    known = kind_tables(facts)
    new = [row for row in plan.tables if not (known == row).all(axis=1).any()]
    table = new[0] if new and learnt(facts) else None
    tables = known if table is None else kind_tables(facts, table)
    kinds = [int((tables == row).all(axis=1).argmax()) for row in plan.tables]
    return np.array(kinds)[plan.selector], table


def kind_tables(facts: Facts, table: NDArray[np.int16] | None = None) -> NDArray[np.int16]:
    """The table of each kind, by number, (2 ** methods, 256); without those of `learnt` if None."""
    found = [IDENTITY]
    for method in facts.substitutes:
        own = table if method is learnt(facts) else method.public_table(facts.ffx_password)
        found += [] if own is None else [own[before] for before in found]
    return np.stack(found)


def soft_plan(plan: Plan, facts: Facts, device: torch.device) -> SoftPlan:
    """A guess as numbers whose gradients tell what a change of it would do."""

    def leaf(values: NDArray[np.generic]) -> Tensor:
        return torch.from_numpy(values.astype(np.float32)).to(device).requires_grad_()

    kinds, table = kinds_of(plan, facts)
    method = learnt(facts)
    return SoftPlan(
        leaf(np.eye(facts.positions)[plan.permutation][None]) if facts.shuffles else None,
        [leaf(kinds >> bit & 1) for bit in range(len(facts.substitutes))],
        None
        if table is None or method is None
        else torch.from_numpy(table / (method.reach - 1)).float().to(device),
        plan.max_value,
    )


def inputs_under(plan: SoftPlan, rows: Tensor, facts: Facts) -> Tensor:
    """What the network sees of blocks (B, h, w, n) of grey levels: blocks of inputs.

    For whole plans what `Transform.to_input` gives, but for rounding.
    """
    top, levels, method = LEVELS - 1, rows.long(), learnt(facts)
    plain = _moved(rows / top, plan.order)

    def value(table: NDArray[np.int16]) -> Tensor:
        if np.array_equal(table, IDENTITY):
            return plain
        if np.array_equal(table, COMPLEMENT):
            return 1 - plain
        return _moved(torch.from_numpy(table / top).to(rows)[levels], plan.order)

    def hidden(table: NDArray[np.int16]) -> Tensor:
        assert plan.table is not None
        before = torch.from_numpy(table.astype(np.int64)).to(rows.device)
        return _moved(plan.table[before[levels]], plan.order)

    known = (m.public_table(facts.ffx_password) for m in facts.substitutes if m is not method)
    masks = [(t, mask) for t, mask in zip(known, plan.masks, strict=False) if t is not None]
    seen = _over(value, masks) * (top / plan.divisor)
    if method is not None and plan.table is not None:
        read = _over(hidden, masks) * ((method.reach - 1) / plan.divisor)
        seen = _mixed(seen, read, plan.masks[-1])
    mean, std = (
        torch.tensor(values, device=rows.device).repeat(facts.positions // 3)
        for values in facts.normalisation
    )
    return (seen - mean) / std


def _over(
    value: Callable[[NDArray[np.int16]], Tensor],
    masks: Sequence[tuple[NDArray[np.int16], Tensor]],
    table: NDArray[np.int16] = IDENTITY,
) -> Tensor:
    """The value of the tables in company that are masked, mixed by their masks."""
    if not masks:
        return value(table)
    (own, share), *rest = masks
    return _mixed(_over(value, rest, table), _over(value, rest, own[table]), share)


def _moved(values: Tensor, order: Tensor | None) -> Tensor:
    if order is None:
        return values
    if len(order) == 1:
        return values @ order[0].T
    turn = torch.arange(len(values), device=values.device) % len(order)
    return torch.einsum("bhwj,bij->bhwi", values, order[turn])


def _mixed(one: Tensor, other: Tensor, share: Tensor) -> Tensor:
    return one + share * (other - one)
