"""On an accelerator: Triton's kernel where it can run, else the same recipe as torch's gathers.

Both only move and look up values, so they agree bit for bit with the CPU. The gathers also run on
CPU tensors, which is how they are tested without an accelerator.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from torch import Tensor

from seglock.methods import LEVELS
from seglock.transforms import apply_triton
from seglock.transforms.recipe import prepare

if TYPE_CHECKING:
    from seglock.transforms.input_values import FloatName
    from seglock.transforms.layout import Shape
    from seglock.transforms.plan import Plan
    from seglock.transforms.recipe import Recipe, Work


def encrypted(plan: Plan, rows: Tensor, shape: Shape) -> Tensor:
    """Encrypt uint8 rows ``(B, N)``, which lie as ``shape`` says, into the plan's type."""
    if _by_triton(plan, rows, shape):
        dtype = torch.int16 if plan.dtype_name == "int16" else torch.uint8
        return apply_triton.apply(
            apply_triton.place(rows.device, plan, "encrypt"), rows, shape, dtype
        )
    return apply(prepare_on(rows.device, plan, "encrypt", shape), rows)


def decrypted(plan: Plan, rows: Tensor, shape: Shape) -> tuple[Tensor, int]:
    """Decrypt: uint8 ``(B, N)``, and how many values the plan gives for no pixel."""
    if _by_triton(plan, rows, shape):
        return apply_triton.apply_inverse(
            apply_triton.place(rows.device, plan, "decrypt"), rows, shape
        )
    return apply_inverse(prepare_on(rows.device, plan, "decrypt", shape), rows)


def inputs(
    plan: Plan,
    work: Literal["to_input", "encrypted_to_input"],
    rows: Tensor,
    shape: Shape,
    float_name: FloatName,
) -> Tensor:
    """The network's input, of the named type."""
    dtype: torch.dtype = getattr(torch, float_name)
    if _by_triton(plan, rows, shape):
        placed = apply_triton.place(rows.device, plan, work, float_name)
        return apply_triton.apply(placed, rows, shape, dtype)
    return apply(prepare_on(rows.device, plan, work, shape, float_name), rows).view(dtype)


def _by_triton(plan: Plan, rows: Tensor, shape: Shape) -> bool:
    return apply_triton.usable(rows.device) and apply_triton.fits(plan, shape)


@dataclass(frozen=True, eq=False, repr=False)
class DeviceRecipe:
    """A recipe's arrays as tensors on one device; indices are int32."""

    source: Tensor | None
    flip: Tensor | None
    offsets: Tensor | None
    table: Tensor | None
    width: int


@lru_cache(maxsize=8)
def prepare_on(
    device: torch.device, plan: Plan, work: Work, shape: Shape, float_name: FloatName = "float32"
) -> DeviceRecipe:
    """The recipe for one kind of work on one device; the last few are kept."""
    recipe: Recipe = prepare(plan, work, shape, float_name)
    lookup = recipe.lookup

    def send(array: Any, dtype: Any = None) -> Tensor | None:
        return None if array is None else torch.from_numpy(np.array(array, dtype)).to(device)

    return DeviceRecipe(
        send(recipe.source, np.int32),
        send(recipe.flip),
        send(lookup and lookup.offsets, np.int32),
        send(lookup and lookup.tables.reshape(-1)),
        lookup.width if lookup else 0,
    )


def apply(recipe: DeviceRecipe, rows: Tensor) -> Tensor:
    """Apply a recipe that ends with its lookup (encrypt, to_input).

    Shape: rows ``(B, N)``; returns a new ``(B, N)`` of the table's type, else uint8.
    """
    moved = _move(recipe, rows)
    if recipe.table is not None:
        return _look_up(recipe, moved)
    return moved.clone() if moved is rows else moved


def apply_inverse(recipe: DeviceRecipe, rows: Tensor) -> tuple[Tensor, int]:
    """Apply a recipe that begins with its lookup (decrypt).

    Returns uint8 ``(B, N)`` and how many values no pixel could have given.
    """
    inside = (rows >= 0) & (rows < recipe.width)
    plain = _look_up(recipe, rows.clamp(0, recipe.width - 1))
    bad = int((~inside | (plain >= LEVELS)).sum())
    return _move(recipe, plain.to(torch.uint8)), bad


def _move(recipe: DeviceRecipe, rows: Tensor) -> Tensor:
    if recipe.source is not None:
        rows = rows.index_select(1, recipe.source)
    return rows if recipe.flip is None else rows ^ recipe.flip


def _look_up(recipe: DeviceRecipe, values: Tensor) -> Tensor:
    assert recipe.table is not None
    assert recipe.offsets is not None
    index = torch.add(values, recipe.offsets)  # int32: the tables are small, so no index is large
    return recipe.table.index_select(0, index.view(-1)).view(values.shape)
