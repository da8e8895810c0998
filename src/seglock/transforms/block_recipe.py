"""A plan for a kernel that finds its way in the image by itself: a few numbers for each position
of one block, whatever the image's size and layout. Another key costs no more than its block.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from seglock.methods import LEVELS
from seglock.methods.ffx import FFX_RANGE
from seglock.steps import CHANNELS
from seglock.transforms.input_values import affine_input, input_words
from seglock.transforms.plan import IDENTITY
from seglock.transforms.recipe import inverse_tables, split_tables

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from seglock.transforms.input_values import FloatName
    from seglock.transforms.plan import Plan
    from seglock.transforms.recipe import Work

SOURCE_SHIFT = 8
LARGEST_BLOCK = 1 << (32 - SOURCE_SHIFT)  # positions whose numbers fit beside kind and flip


@dataclass(frozen=True, eq=False, repr=False)
class BlockRecipe:
    """``value = flipped(x[source])``, then ``tables[kind]`` (in ``decrypt`` before the flip), then
    what the network sees of it: by ``affine`` where that gives the same bits, else by ``inputs``.

    Shape: words uint32 ``(n,)``, ``source << 8 | kind << 1 | flip`` with the source a position of
    the block; tables int16 ``(K, width)`` or None; affine float32 ``(3, 2)`` or None; inputs
    ``(3, reach)`` words of the floats or None. ``unchanged``: the kind whose table changes
    nothing, or -1. ``moves``: whether any source is another position. The arrays are tensors once
    they are on a device.
    """

    block_size: int
    words: Any
    tables: Any = None
    unchanged: int = -1
    affine: Any = None
    inputs: Any = None
    moves: bool = False


@lru_cache(maxsize=8)
def block_recipe(plan: Plan, work: Work, float_name: FloatName = "float32") -> BlockRecipe:
    """The recipe for one kind of work; the last few are kept."""
    positions = np.arange(plan.size, dtype=np.uint32)
    if work == "encrypted_to_input":
        reach = LEVELS if plan.dtype_name == "uint8" else FFX_RANGE
        affine, inputs = _inputs(np.arange(reach), plan, float_name)
        words = positions << np.uint32(SOURCE_SHIFT)
        return BlockRecipe(plan.block_size, words, affine=affine, inputs=inputs)
    flips, tables, kinds = split_tables(plan)
    source = plan.permutation.astype(np.uint32)
    if work == "decrypt":
        source = np.argsort(plan.permutation).astype(np.uint32)
        flips, kinds = flips[source], kinds[source]
    words = source << np.uint32(SOURCE_SHIFT) | kinds.astype(np.uint32) << np.uint32(1)
    words |= flips > 0
    moves = not np.array_equal(source, positions)
    same = [kind for kind, table in enumerate(tables) if np.array_equal(table, IDENTITY)]
    unchanged = same[0] if same else -1
    base = None if same and len(tables) == 1 else tables
    if work == "decrypt":
        inverse = np.pad(inverse_tables(tables), ((0, 0), (0, 1)), constant_values=LEVELS)
        return BlockRecipe(plan.block_size, words, inverse, moves=moves)
    if work == "encrypt":
        return BlockRecipe(plan.block_size, words, base, unchanged, moves=moves)
    affine, inputs = _inputs(np.unique(tables), plan, float_name)
    return BlockRecipe(plan.block_size, words, base, unchanged, affine, inputs, moves)


def _inputs(
    values: NDArray[Any], plan: Plan, float_name: FloatName
) -> tuple[NDArray[np.float32] | None, NDArray[Any] | None]:
    max_value, by = plan.max_value, plan.normalisation
    affine = affine_input(values, max_value, by, float_name)
    if affine is not None:
        return affine, None
    reach = np.arange(int(values.max()) + 1)
    rows = [input_words(reach, c, max_value, by, float_name) for c in range(CHANNELS)]
    return None, np.stack(rows)
