"""Tables applied position by position, in the form that NumPy does fastest."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Scratch = tuple[NDArray[Any], NDArray[np.intp]]


class Lookup:
    """``out[j] = tables[kinds[j], values[j]]``.

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
