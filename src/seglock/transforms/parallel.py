"""Cut a batch into tiles and do them on a few threads."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

from seglock.threads import available_cores

_MOST_THREADS = 16

Tile = tuple[slice, slice]
"""Images and columns of rows ``(B, N)``."""


def thread_count() -> int:
    """How many threads to use: OMP_NUM_THREADS as torchrun sets it, else this process's cores."""
    wished = os.environ.get("OMP_NUM_THREADS", "")
    if wished.isdecimal() and int(wished) > 0:
        return min(int(wished), _MOST_THREADS)
    return min(available_cores(), _MOST_THREADS)


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


def run_tiles(
    work: Callable[[list[Tile]], None],
    shape: tuple[int, ...],
    size: int,
    inline: int = 0,
) -> None:
    """Do all tiles, each of at most ``size`` values; below ``inline`` values here.

    The pool lives for this call only, so that a forked process inherits no thread.
    """
    tiles, threads = _tiles(shape, size), thread_count()
    if threads == 1 or shape[0] * shape[1] < inline:
        work(tiles)
        return
    cuts = [len(tiles) * part // (4 * threads) for part in range(4 * threads + 1)]
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, [tiles[a:b] for a, b in pairwise(cuts)]))
