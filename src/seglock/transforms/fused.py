"""A recipe as one gather and one table: ``out[j] = tables[row[j]][x[source[j]]]``.

One pass where the recipe's own steps are up to five. A position's source and row share one
number, so that a kernel reads four bytes for each position and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from seglock.methods import LEVELS
from seglock.transforms.plan import IDENTITY

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from seglock.transforms.recipe import Recipe

ROW_BITS = 8
LARGEST = 1 << (32 - ROW_BITS)  # values of an image whose sources fit beside the rows


@dataclass(frozen=True, eq=False, repr=False)
class Fused:
    """Shape: words uint32 ``(N,)``, ``source << 8 | row``; table ``(rows * width,)``.

    ``moves_only``: the table changes nothing, and may be left out.
    """

    words: NDArray[np.uint32]
    table: NDArray[Any]
    width: int
    moves_only: bool = False


@lru_cache(maxsize=8)
def fuse(recipe: Recipe, size: int) -> Fused:
    """For a recipe that ends with its lookup (encrypt, to_input); ``size`` is N, at most LARGEST.

    XOR with 255 is the table read backwards.
    """
    lookup = recipe.lookup
    tables = IDENTITY.astype(np.uint8)[None] if lookup is None else lookup.tables
    kinds = np.zeros(size, np.uint8) if lookup is None else lookup.kinds
    return _fused(recipe, size, tables, tables[:, ::-1], kinds)


@lru_cache(maxsize=8)
def fuse_inverse(recipe: Recipe, size: int) -> Fused:
    """For a recipe that begins with its lookup (decrypt).

    The tables have one entry more, of `LEVELS` as for every impossible value: a kernel reads it
    for all values beyond them.
    """
    lookup = recipe.lookup
    assert lookup is not None
    tables = np.pad(lookup.tables, ((0, 0), (0, 1)), constant_values=LEVELS)
    flipped = np.where(tables < LEVELS, tables ^ (LEVELS - 1), tables)
    kinds = lookup.kinds if recipe.source is None else lookup.kinds[recipe.source]
    return _fused(recipe, size, tables, flipped, kinds)


def _fused(
    recipe: Recipe,
    size: int,
    tables: NDArray[Any],
    flipped: NDArray[Any],
    kinds: NDArray[np.uint8],
) -> Fused:
    rows = 2 * kinds.astype(np.uint16)
    if recipe.flip is not None:
        rows += recipe.flip > 0
    used = np.flatnonzero(np.bincount(rows))  # NP to floats uses six, and so much of the cache
    new_row = np.zeros(2 * len(tables), np.uint32)
    new_row[used] = np.arange(len(used))
    both = np.stack([tables, flipped], axis=1).reshape(-1, tables.shape[1])
    words = np.arange(size, dtype=np.uint32) if recipe.source is None else recipe.source
    words = words.astype(np.uint32) << np.uint32(ROW_BITS) | new_row[rows]
    moves_only = recipe.flip is None and recipe.lookup is None
    return Fused(words, np.ascontiguousarray(both[used]).reshape(-1), tables.shape[1], moves_only)
