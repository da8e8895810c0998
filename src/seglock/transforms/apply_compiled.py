"""The kernel on the CPU for large batches: one pass in machine code, two images at a time.

Twice to four times as fast as NumPy's several passes. Numba takes about a second to import and to
read its compiled code from the disk, and some seconds the first time ever, so that a few images
are done sooner without it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from seglock.methods import LEVELS
from seglock.transforms import apply_numpy
from seglock.transforms.fused import LARGEST, ROW_BITS, fuse, fuse_inverse
from seglock.transforms.parallel import Tile, run_tiles

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from seglock.transforms.recipe import Recipe

WORTH_IT = 1 << 23  # values: 43 images of 256 pixels
_TILE = 1 << 19  # two such images: what one thread does at a time
_ROW = np.uint32((1 << ROW_BITS) - 1)
_SHIFT = np.uint32(ROW_BITS)
_Kernel = Callable[..., Any]


def pays(recipe: Recipe, rows: NDArray[Any]) -> bool:
    """Whether a batch is large enough, and its recipe more than the XOR or copy that NumPy does."""
    passes = recipe.lookup is not None or recipe.source is not None
    return passes and rows.size >= WORTH_IT and rows.shape[1] <= LARGEST


def apply(recipe: Recipe, rows: NDArray[Any]) -> NDArray[Any]:
    """As `apply_numpy.apply`, bit for bit."""
    fused = fuse(recipe, rows.shape[1])
    kernel = compiled(move if fused.moves_only else look_up)
    out = np.empty(rows.shape, fused.table.dtype)
    values = rows.view(f"u{rows.itemsize}")

    def work(tiles: list[Tile]) -> None:
        for images, columns in tiles:
            places = fused.words[columns]
            kernel(values[images], places, fused.table, fused.width, out[images], columns.start)

    run_tiles(work, rows.shape, _TILE)
    return out


def apply_inverse(recipe: Recipe, rows: NDArray[Any]) -> tuple[NDArray[Any], int]:
    """As `apply_numpy.apply_inverse`, bit for bit."""
    fused = fuse_inverse(recipe, rows.shape[1])
    kernel = compiled(undo)
    out = np.empty(rows.shape, np.uint8)
    table, values = fused.table.view(np.uint16), rows.view(np.uint16)
    seen = [0]

    def work(tiles: list[Tile]) -> None:
        for images, columns in tiles:
            places = fused.words[columns]
            seen.append(
                kernel(values[images], places, table, fused.width, out[images], columns.start)
            )

    run_tiles(work, rows.shape, _TILE)
    if max(seen) >= LEVELS:
        return apply_numpy.apply_inverse(recipe, rows)  # which counts them
    return out, 0


@lru_cache(maxsize=4)
def compiled(kernel: _Kernel) -> _Kernel:
    """A kernel in machine code, made at its first call for each type of its arguments.

    What was made is kept beside this file, or in the user's cache; where neither can be written,
    each process makes it anew.
    """
    import numba

    made = numba.njit(nogil=True)(kernel)
    try:
        made.enable_caching()
    except RuntimeError as error:
        if "cannot cache" not in str(error):
            raise
    return cast(_Kernel, made)


# The kernels. rows (R, N) unsigned; words (C,); out (R, N), written from column ``start`` on. The
# second of two images is the first again where their number is odd. Unsigned numbers throughout:
# signed ones would be tested for being negative.


def look_up(rows: Any, words: Any, table: Any, width: int, out: Any, start: int) -> int:
    step = np.uint64(width)
    for image in range(0, len(rows), 2):
        other = min(image + 1, len(rows) - 1)
        row, row2 = rows[image], rows[other]
        to, to2 = out[image, start:], out[other, start:]
        for j in range(len(words)):
            word = words[j]
            source, entry = word >> _SHIFT, np.uint64(word & _ROW) * step
            to[j] = table[entry + np.uint64(row[source])]
            to2[j] = table[entry + np.uint64(row2[source])]
    return 0


def move(rows: Any, words: Any, _table: Any, _width: int, out: Any, start: int) -> int:
    for image in range(0, len(rows), 2):
        other = min(image + 1, len(rows) - 1)
        row, row2 = rows[image], rows[other]
        to, to2 = out[image, start:], out[other, start:]
        for j in range(len(words)):
            source = words[j] >> _SHIFT
            to[j] = row[source]
            to2[j] = row2[source]
    return 0


def undo(rows: Any, words: Any, table: Any, width: int, out: Any, start: int) -> Any:
    """Returns the bits of all values: LEVELS or more where any is one that no pixel has."""
    step, most, seen = np.uint64(width), np.uint16(width - 1), np.uint16(0)
    for image in range(0, len(rows), 2):
        other = min(image + 1, len(rows) - 1)
        row, row2 = rows[image], rows[other]
        to, to2 = out[image, start:], out[other, start:]
        for j in range(len(words)):
            word = words[j]
            source, entry = word >> _SHIFT, np.uint64(word & _ROW) * step
            plain = table[entry + np.uint64(min(row[source], most))]
            plain2 = table[entry + np.uint64(min(row2[source], most))]
            to[j] = plain
            to2[j] = plain2
            seen |= plain | plain2
    return seen
