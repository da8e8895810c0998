"""Positions of blocks in images, against loops over rows, columns and channels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seglock.transforms.layout import Layout, channel_index, layout_of, source_index, tile


def place(layout: Layout, h: int, w: int, c: int, y: int, x: int) -> int:
    return c * h * w + y * w + x if layout == "nchw" else (y * w + x) * 3 + c


layouts = st.sampled_from(["nchw", "nhwc"])


@given(
    m=st.integers(1, 3),
    down=st.integers(1, 3),
    right=st.integers(1, 3),
    read=layouts,
    write=layouts,
    seed=st.integers(0, 99),
)
def test_positions_match_the_loops(
    m: int, down: int, right: int, read: Layout, write: Layout, seed: int
) -> None:
    h, w, n = m * down, m * right, 3 * m * m
    permutation = np.random.default_rng(seed).permutation(n)
    source = source_index(permutation, m, h, w, read, write)
    laid = tile(np.arange(n), m, h, w, write)
    channels = channel_index(h, w, write)
    assert source.dtype == np.intp
    for y in range(h):
        for x in range(w):
            for c in range(3):
                here = place(write, h, w, c, y, x)
                position = (y % m * m + x % m) * 3 + c
                row, column_channel = divmod(permutation[position], m * 3)
                column, channel = divmod(column_channel, 3)
                top, left = y - y % m, x - x % m
                assert source[here] == place(read, h, w, channel, top + row, left + column)
                assert laid[here] == position
                assert channels[here] == c


@pytest.mark.parametrize("batch", [0, 1, 2])
def test_layouts_are_told_apart(batch: int) -> None:
    images = np.zeros((batch, 3, 4, 6), dtype=np.uint8)
    assert layout_of(images) == "nchw"
    if batch:  # an empty array is contiguous in every order
        assert layout_of(np.zeros((batch, 4, 6, 3)).transpose(0, 3, 1, 2)) == "nhwc"
        assert layout_of(np.zeros((batch, 3, 6, 4)).transpose(0, 1, 3, 2)) is None
        assert layout_of(np.zeros((batch, 3, 4, 12))[..., ::2]) is None
