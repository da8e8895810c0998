"""Array files written in order and in bounded memory, and read in no order.

A memory map would meet a full disk as a SIGBUS; plain writes meet it as an error.
"""

from __future__ import annotations

import contextlib
import mmap
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np


def write_header(file: IO[bytes], shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    """Write the header of an ``.npy`` file (format 1.0, C order)."""
    descr = np.lib.format.dtype_to_descr(dtype)
    np.lib.format.write_array_header_1_0(
        file, {"descr": descr, "fortran_order": False, "shape": shape}
    )


@contextlib.contextmanager
def row_writer(path: Path, shape: tuple[int, ...]) -> Iterator[Callable[[np.ndarray], None]]:
    """Write a uint8 array of ``shape`` as an ``.npy`` file, one row (``array[i]``) a call."""
    rows = 0

    def write(row: np.ndarray) -> None:
        nonlocal rows
        if row.shape != shape[1:] or row.dtype != np.uint8:
            raise ValueError(f"a row must be uint8 {shape[1:]}, got {row.dtype} {row.shape}")
        file.write(np.ascontiguousarray(row).data)
        rows += 1

    with Path(path).open("wb") as file:
        write_header(file, shape, np.dtype(np.uint8))
        yield write
        if rows != shape[0]:
            raise ValueError(f"{path.name} must get {shape[0]} rows, got {rows}")
        file.flush()
        os.fsync(file.fileno())


def read_ahead(array: np.ndarray, rows: np.ndarray) -> None:
    """Have the system read these rows (``array[i]``) of a mapped file together, and no others.

    Else it meets them one by one, and around each reads as much more as the disk is set up for:
    128 KiB on most machines, megabytes on some. Does nothing for an array in memory.
    """
    mapped: object = array.base
    if not isinstance(array, np.memmap) or not isinstance(mapped, mmap.mmap):
        return
    first = array.offset % mmap.ALLOCATIONGRANULARITY
    size = array.strides[0]
    for row in np.sort(rows).tolist():
        start = first + row * size
        page = start - start % mmap.PAGESIZE
        mapped.madvise(mmap.MADV_WILLNEED, page, start + size - page)
