"""The kernel on the CPU: tiles that stay in the processor's cache, NumPy's take, a few threads."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from seglock.transforms.recipe import Recipe

TILE = 1 << 16  # values of a lookup: their indices take half a megabyte
_MOVE_TILE = 1 << 18  # values of a move
_INLINE = 1 << 20  # fewer values than this are not worth starting threads
_INLINE_XOR = 1 << 24  # nor these, where nothing is looked up: about a millisecond
_WORTH_PAIRS = 1 << 22  # values that repay building the larger table
_MOST_THREADS = 16

Tile = tuple[slice, slice]


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
    paired = lookup.paired if rows.size >= _WORTH_PAIRS else None

    def work(tiles: list[Tile]) -> None:
        moved, scratch = np.empty(TILE, rows.dtype), (paired or lookup).scratch(TILE)
        for tile in tiles:
            values = rows[tile]
            if moves:
                values = moved[: values.size].reshape(values.shape)
                _move(rows, tile, recipe, values)
            if paired is None:
                lookup.apply(values, tile[1], out[tile], scratch)
            else:
                columns = slice(tile[1].start // 2, tile[1].stop // 2)
                paired.apply(values.view(np.uint16), columns, out[tile].view(np.int32), scratch)

    _run(work, rows.shape)
    return out


def apply_inverse(recipe: Recipe, rows: NDArray[Any], possible: int) -> tuple[NDArray[Any], int]:
    """Apply a recipe that begins with its lookup (decrypt).

    Shape: rows ``(B, N)`` contiguous uint8, or int16 where the recipe has a lookup. Returns uint8
    ``(B, N)`` and how many values no pixel could have given (then the array means nothing).
    """
    lookup = recipe.lookup
    if lookup is None:
        return apply(recipe, rows), 0
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
            if outside or plain.max(initial=0) >= possible:
                seen = rows[tile].view(np.uint16) < lookup.width
                bad.append(outside + int((plain[seen] >= possible).sum()))
            np.copyto(out[tile], plain, casting="unsafe")

    _run(work, rows.shape)
    if bad:
        return out, sum(bad)
    return _undo_move(recipe, out), 0


def _undo_move(recipe: Recipe, values: NDArray[np.uint8]) -> NDArray[np.uint8]:
    if recipe.source is not None:
        return _moved(recipe, values)
    return values if recipe.flip is None else np.bitwise_xor(values, recipe.flip, out=values)


def _moved(recipe: Recipe, rows: NDArray[Any]) -> NDArray[Any]:
    out = np.empty_like(rows)

    def work(tiles: list[Tile]) -> None:
        for tile in tiles:
            _move(rows, tile, recipe, out[tile])

    _run(work, rows.shape, _MOVE_TILE, _INLINE if recipe.source is not None else _INLINE_XOR)
    return out


def _move(rows: NDArray[Any], tile: Tile, recipe: Recipe, out: NDArray[Any]) -> None:
    images, columns = tile
    source, flip = recipe.source, recipe.flip
    moved = rows[tile]
    if source is not None:
        moved = np.take(rows[images], source[columns], axis=1, out=out, mode="wrap")
    if flip is not None:
        np.bitwise_xor(moved, flip[columns], out=out)


def thread_count() -> int:
    """How many threads to use: OMP_NUM_THREADS as torchrun sets it, else this process's cores."""
    wished = os.environ.get("OMP_NUM_THREADS", "")
    if wished.isdecimal() and int(wished) > 0:
        return min(int(wished), _MOST_THREADS)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return min(cores or 1, _MOST_THREADS)


def _tiles(shape: tuple[int, ...], size: int) -> list[Tile]:
    """Cut ``(B, N)`` into groups of whole images, or large images into even runs of values."""
    batch, values = shape
    if values == 0:
        return []
    group = max(1, size // values)
    return [
        (slice(image, min(image + group, batch)), slice(start, min(start + size, values)))
        for image in range(0, batch, group)
        for start in range(0, values, size)
    ]


def _run(
    work: Callable[[list[Tile]], None],
    shape: tuple[int, ...],
    size: int = TILE,
    inline: int = _INLINE,
) -> None:
    """Do all tiles; the pool lives for this call only, so a forked process inherits no thread."""
    tiles, threads = _tiles(shape, size), thread_count()
    if threads == 1 or shape[0] * shape[1] < inline:
        work(tiles)
        return
    cuts = [len(tiles) * part // (4 * threads) for part in range(4 * threads + 1)]
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, [tiles[a:b] for a, b in pairwise(cuts)]))
