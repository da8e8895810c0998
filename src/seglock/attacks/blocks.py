"""Images as rows of flattened blocks, as a thief who knows the formula would cut them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

Scalar = TypeVar("Scalar", bound=np.generic)
Values = TypeVar("Values", bound=Any)
"""An array, or a tensor, whose gradient goes through."""


def block_grid(images: Values, m: int) -> Values:
    """(N, 3, H, W) -> (N, H / M, W / M, n): row, then column, then channel fastest.

    >>> block_grid(np.arange(12).reshape(1, 3, 2, 2), 2)[0, 0, 0, :4].tolist()
    [0, 4, 8, 1]
    """
    count, channels, height, width = images.shape
    split = images.reshape(count, channels, height // m, m, width // m, m)
    ordered = split.swapaxes(1, 2).swapaxes(2, 4).swapaxes(4, 5)
    grid: Values = ordered.reshape(count, height // m, width // m, -1)
    return grid


def grid_images(grid: Values, m: int) -> Values:
    """The inverse of `block_grid`."""
    count, down, right, _ = grid.shape
    split = grid.reshape(count, down, right, m, m, 3)
    ordered = split.swapaxes(4, 5).swapaxes(2, 4).swapaxes(1, 2)
    images: Values = ordered.reshape(count, 3, down * m, right * m)
    return images


def block_rows(images: NDArray[Scalar], m: int) -> NDArray[Scalar]:
    """(N, 3, H, W) -> (blocks, n), every block of every image."""
    grid = block_grid(images, m)
    return grid.reshape(-1, grid.shape[-1])


def images_of(rows: NDArray[Scalar], m: int, height: int, width: int) -> NDArray[Scalar]:
    """The inverse of `block_rows`."""
    grid = rows.reshape(-1, height // m, width // m, rows.shape[-1])
    return np.ascontiguousarray(grid_images(grid, m))
