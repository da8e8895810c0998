"""A recipe: a plan laid over images of one size and layout, in the form that the kernels apply.

Every plan is a move (gather, then XOR with 0 or 255), and for FFX a table on top. Recipes are
built from small arrays by broadcasting, so building one costs about as much as one image.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from seglock.methods import LEVELS
from seglock.methods.ffx import FFX_RANGE
from seglock.steps import CHANNELS
from seglock.transforms.input_values import input_words
from seglock.transforms.layout import Shape, channel_index, source_index, tile
from seglock.transforms.plan import IDENTITY

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from seglock.transforms.input_values import FloatName
    from seglock.transforms.plan import Plan

    Scratch = tuple[NDArray[Any], NDArray[np.intp]]

IMPOSSIBLE = LEVELS
"""What the inverse tables give for a value that no pixel can have."""

Work = Literal["encrypt", "decrypt", "to_input", "encrypted_to_input"]
"""To decrypt so is for plans that leave 0..255; others are undone by their inverse."""


class Lookup:
    """Tables applied position by position: ``out[j] = tables[kinds[j], values[j]]``.

    Shape: tables ``(K, width)`` of any fixed-size type, kinds uint8 ``(N,)``.
    """

    def __init__(self, tables: NDArray[Any], kinds: NDArray[np.uint8]) -> None:
        self.tables = np.ascontiguousarray(tables)
        self.kinds = kinds
        self.width = tables.shape[1]

    @cached_property
    def offsets(self) -> NDArray[Any]:
        """Start of each position's table in the flattened tables, in the smallest type: uint16."""
        narrow = np.min_scalar_type(self.tables.size)
        offsets: NDArray[Any] = self.kinds.astype(narrow) * narrow.type(self.width)
        return offsets

    def scratch(self, size: int) -> Scratch:
        """Room for the indices of ``size`` values: narrow for arithmetic, then as NumPy wants."""
        return np.empty(size, self.offsets.dtype), np.empty(size, np.intp)

    def apply(
        self, values: NDArray[Any], columns: slice, out: NDArray[Any], scratch: Scratch
    ) -> None:
        """Look up ``values`` ``(R, C)``, all below width, at positions ``columns`` of each row."""
        narrow, wide = (buffer[: values.size].reshape(values.shape) for buffer in scratch)
        # Ufuncs on mixed types go through small buffers: converting first is three times as fast.
        if values.dtype != narrow.dtype:
            np.copyto(narrow, values, casting="unsafe")
            values = narrow
        np.add(values, self.offsets[columns], out=narrow)
        np.copyto(wide, narrow)
        # Not mode "raise", which would go through a copy of out; the indices are in range.
        np.take(self.tables.reshape(-1), wide, out=out, mode="wrap")


@dataclass(frozen=True, eq=False, repr=False)
class Recipe:
    """What to do to a flattened image of N = 3 * H * W values.

    ``source`` intp ``(N,)`` or None: gather. ``flip`` uint8 ``(N,)`` or None: then XOR.
    ``lookup`` or None: then a table per position (``decrypt`` starts with it instead).
    """

    source: NDArray[np.intp] | None = None
    flip: NDArray[np.uint8] | None = None
    lookup: Lookup | None = None


@lru_cache(maxsize=8)
def prepare(plan: Plan, work: Work, shape: Shape, float_name: FloatName = "float32") -> Recipe:
    """The recipe for one kind of work; the last few are kept."""
    if work == "encrypted_to_input":
        return Recipe(
            source=_layout_change(shape), lookup=_input_lookup(plan, shape, None, float_name)
        )
    flips, tables, rows = split_tables(plan)
    h, w, m = shape.height, shape.width, plan.block_size
    if work == "decrypt":
        inverse = np.argsort(plan.permutation)
        return Recipe(
            _source(inverse, m, shape),
            _flip(flips[inverse], m, shape),
            Lookup(inverse_tables(tables), tile(rows, m, h, w, shape.read)),
        )
    source, flip = _source(plan.permutation, m, shape), _flip(flips, m, shape)
    kinds = tile(rows, m, h, w, shape.write)
    if work == "encrypt":
        plain = plan.dtype_name == "uint8" and np.array_equal(tables, IDENTITY[None])
        dtype = np.int16 if plan.dtype_name == "int16" else np.uint8
        return Recipe(source, flip, None if plain else Lookup(tables.astype(dtype), kinds))
    return Recipe(source, flip, _input_lookup(plan, shape, (tables, kinds), float_name))


def split_tables(plan: Plan) -> tuple[NDArray[np.uint8], NDArray[np.int16], NDArray[np.uint8]]:
    """Write each table as (a table of fewer) after (XOR with 0 or 255).

    NP needs no table at all then, and NP before FFX no more tables than FFX alone.
    """
    kept: list[NDArray[np.int16]] = []
    row = np.zeros(len(plan.tables), dtype=np.uint8)
    flip = np.zeros(len(plan.tables), dtype=np.uint8)
    for index, table in enumerate(plan.tables):
        mirrored = table[::-1]
        if np.array_equal(mirrored, IDENTITY):
            table, flip[index] = mirrored, 255
        same = [k for k, other in enumerate(kept) if np.array_equal(other, table)]
        swapped = [k for k, other in enumerate(kept) if np.array_equal(other, table[::-1])]
        if not same and swapped:
            same, flip[index] = swapped, 255
        elif not same:
            same = [len(kept)]
            kept.append(table)
        row[index] = same[0]
    return flip[plan.selector], np.stack(kept), row[plan.selector]


def _source(
    permutation: NDArray[np.integer[Any]], block_size: int, shape: Shape
) -> NDArray[np.intp] | None:
    if shape.read == shape.write and np.array_equal(permutation, np.arange(len(permutation))):
        return None
    h, w = shape.height, shape.width
    return source_index(permutation, block_size, h, w, shape.read, shape.write)


def _layout_change(shape: Shape) -> NDArray[np.intp] | None:
    return _source(np.arange(CHANNELS), 1, shape)


def _flip(flips: NDArray[np.uint8], block_size: int, shape: Shape) -> NDArray[np.uint8] | None:
    if not flips.any():
        return None
    return tile(flips, block_size, shape.height, shape.width, shape.write)


def inverse_tables(tables: NDArray[np.int16]) -> NDArray[np.int16]:
    """Which pixel each value 0..999 comes from, IMPOSSIBLE where from none."""
    inverse = np.full((len(tables), FFX_RANGE), IMPOSSIBLE, dtype=np.int16)
    for row, table in zip(inverse, tables, strict=True):
        row[table] = IDENTITY
    return inverse


def _input_lookup(
    plan: Plan,
    shape: Shape,
    encrypting: tuple[NDArray[np.int16], NDArray[np.uint8]] | None,
    float_name: FloatName,
) -> Lookup:
    """Tables of network inputs: one per channel, or per channel and table of the plan."""
    channels = channel_index(shape.height, shape.width, shape.write)
    if encrypting is None:
        reach = LEVELS if plan.dtype_name == "uint8" else FFX_RANGE
        values: NDArray[Any] = np.arange(reach)[None]
        kinds = channels
    else:
        values, rows = encrypting
        kinds = (channels * len(values) + rows).astype(np.uint8)
    words = np.stack(
        [
            input_words(values, channel, plan.max_value, plan.normalisation, float_name)
            for channel in range(CHANNELS)
        ]
    )
    return Lookup(words.reshape(-1, values.shape[1]), kinds)
