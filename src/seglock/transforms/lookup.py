"""Tables applied position by position: one value at a time, or two with one larger table."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

BYTE = 256
_PAIRS = BYTE * BYTE
_LARGEST_PAIR_TABLE = 8 << 20  # bytes; beyond it the processor's cache loses more than pairs win
_WORTH_PAIRS = 8  # how often the pair table's size must be looked up to be worth building


class Lookup:
    """``out[j] = tables[kinds[j], values[j]]``.

    Shape: tables ``(K, width)`` of any fixed-size type, kinds uint8 ``(N,)``.
    """

    def __init__(self, tables: NDArray[Any], kinds: NDArray[np.uint8]) -> None:
        self.tables = np.ascontiguousarray(tables)
        self.kinds = kinds
        self.width = tables.shape[1]

    @cached_property
    def offsets(self) -> NDArray[np.intp]:
        """Start of each position's table in the flattened tables."""
        offsets: NDArray[np.intp] = self.kinds.astype(np.intp) * self.width
        return offsets

    @cached_property
    def _pair_kinds(self) -> tuple[NDArray[np.int64], NDArray[np.intp]]:
        used, index = np.unique(
            self.kinds[0::2].astype(np.int64) * BYTE + self.kinds[1::2], return_inverse=True
        )
        return used, index.astype(np.intp) * _PAIRS

    @cached_property
    def _pair_table(self) -> NDArray[Any]:
        """For each pair of kinds that occurs and each pair of bytes, both results as one word."""
        used, _ = self._pair_kinds
        table = np.empty((len(used), BYTE, BYTE, 2), dtype=self.tables.dtype)
        for rows, pair in zip(table, used, strict=True):
            # The first byte of a pair is the low one of its little-endian word.
            rows[..., 0] = self.tables[pair // BYTE][None, :]
            rows[..., 1] = self.tables[pair % BYTE][:, None]
        return table.view(f"u{2 * self.tables.itemsize}").reshape(-1)

    def by_pairs(self, count: int) -> bool:
        """Whether to look up two bytes at a time, given how many values there are in all."""
        if (
            self.width != BYTE
            or len(self.kinds) % 2
            or self.tables.itemsize > 4
            or np.little_endian is not True
            or count < _WORTH_PAIRS * _PAIRS
        ):
            return False
        entries = len(self._pair_kinds[0]) * _PAIRS
        return (
            2 * entries * self.tables.itemsize <= _LARGEST_PAIR_TABLE
            and count >= _WORTH_PAIRS * entries
        )

    def apply(
        self,
        values: NDArray[Any],
        columns: slice,
        out: NDArray[Any],
        scratch: NDArray[np.intp],
        pairs: bool,
    ) -> None:
        """Look up ``values`` ``(R, C)`` at positions ``columns`` of each image into ``out``.

        ``scratch`` intp ``(R * C,)`` holds the indices: NumPy takes by intp without a copy.
        """
        if pairs:
            columns = slice(columns.start // 2, columns.stop // 2)
            values = values.view(np.uint16)
            out = out.view(f"u{2 * out.itemsize}")
            table, offsets = self._pair_table, self._pair_kinds[1]
        else:
            table, offsets = self.tables.reshape(-1), self.offsets
        index = scratch[: values.size].reshape(values.shape)
        np.copyto(index, values)
        index += offsets[columns]
        # Not "raise", which would go through a copy of ``out``; the index is in range.
        np.take(table.view(out.dtype), index, out=out, mode="clip")
