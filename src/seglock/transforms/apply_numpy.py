"""The kernel on the CPU: tiles that stay in the processor's cache, NumPy's take, a few threads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from seglock.methods import LEVELS
from seglock.transforms.parallel import Tile, run_tiles

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from seglock.transforms.recipe import Recipe

TILE = 1 << 16  # values of a lookup: their indices take half a megabyte
_MOVE_TILE = 1 << 18  # values of a move
_INLINE = 1 << 20  # fewer values than this are not worth starting threads
_INLINE_XOR = 1 << 24  # nor these, where nothing is looked up: about a millisecond


def apply(recipe: Recipe, rows: NDArray[Any]) -> NDArray[Any]:
    """Apply a recipe that ends with its lookup (encrypt, to_input).

    Shape: rows ``(B, N)`` contiguous, within the lookup's width; returns a new ``(B, N)`` of the
    lookup's type, else uint8.
    """
    lookup = recipe.lookup
    moves = recipe.source is not None or recipe.flip is not None
    if lookup is None:
        return _moved(recipe, rows) if moves else rows.copy()
    out = np.empty(rows.shape, dtype=lookup.tables.dtype)

    def work(tiles: list[Tile]) -> None:
        moved, scratch = np.empty(TILE, rows.dtype), lookup.scratch(TILE)
        for tile in tiles:
            values = rows[tile]
            if moves:
                values = moved[: values.size].reshape(values.shape)
                _move(rows, tile, recipe, values)
            lookup.apply(values, tile[1], out[tile], scratch)

    run_tiles(work, rows.shape, TILE, _INLINE)
    return out


def apply_inverse(recipe: Recipe, rows: NDArray[Any]) -> tuple[NDArray[Any], int]:
    """Apply a recipe that begins with its lookup (decrypt).

    Shape: rows ``(B, N)`` contiguous int16. Returns uint8 ``(B, N)`` and how many values no pixel
    could have given (then the array means nothing).
    """
    lookup = recipe.lookup
    assert lookup is not None
    out = np.empty(rows.shape, dtype=np.uint8)
    bad: list[int] = []

    def work(tiles: list[Tile]) -> None:
        buffer, scratch = np.empty(TILE, np.int16), lookup.scratch(TILE)
        for tile in tiles:
            values = rows[tile].view(np.uint16)
            outside = 0
            if values.max(initial=0) >= lookup.width:
                outside = int((values >= lookup.width).sum())
                values = np.minimum(values, lookup.width - 1)
            plain = buffer[: values.size].reshape(values.shape)
            lookup.apply(values, tile[1], plain, scratch)
            if outside or plain.max(initial=0) >= LEVELS:
                seen = rows[tile].view(np.uint16) < lookup.width
                bad.append(outside + int((plain[seen] >= LEVELS).sum()))
            np.copyto(out[tile], plain, casting="unsafe")

    run_tiles(work, rows.shape, TILE, _INLINE)
    if bad:
        return out, sum(bad)
    if recipe.source is not None:
        return _moved(recipe, out), 0
    return out if recipe.flip is None else np.bitwise_xor(out, recipe.flip, out=out), 0


def _moved(recipe: Recipe, rows: NDArray[Any]) -> NDArray[Any]:
    out = np.empty_like(rows)

    def work(tiles: list[Tile]) -> None:
        for tile in tiles:
            _move(rows, tile, recipe, out[tile])

    inline = _INLINE if recipe.source is not None else _INLINE_XOR
    run_tiles(work, rows.shape, _MOVE_TILE, inline)
    return out


def _move(rows: NDArray[Any], tile: Tile, recipe: Recipe, out: NDArray[Any]) -> None:
    images, columns = tile
    source, flip = recipe.source, recipe.flip
    moved = rows[tile]
    if source is not None:
        moved = np.take(rows[images], source[columns], axis=1, out=out, mode="wrap")
    if flip is not None:
        np.bitwise_xor(moved, flip[columns], out=out)
