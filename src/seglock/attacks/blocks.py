"""Images as rows of flattened blocks, as a thief who knows the formula would cut them."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

Scalar = TypeVar("Scalar", bound=np.generic)


def block_grid(images: NDArray[Scalar], block_size: int) -> NDArray[Scalar]:
    """(N, 3, H, W) -> (N, H / M, W / M, n): row, then column, then channel fastest.

    >>> block_grid(np.arange(12).reshape(1, 3, 2, 2), 2)[0, 0, 0, :4].tolist()
    [0, 4, 8, 1]
    """
    count, channels, height, width = images.shape
    m = block_size
    split = images.reshape(count, channels, height // m, m, width // m, m)
    return split.transpose(0, 2, 4, 3, 5, 1).reshape(count, height // m, width // m, -1)


def block_rows(images: NDArray[Scalar], block_size: int) -> NDArray[Scalar]:
    """(N, 3, H, W) -> (blocks, n), every block of every image."""
    grid = block_grid(images, block_size)
    return grid.reshape(-1, grid.shape[-1])


def images_of(rows: NDArray[Scalar], block_size: int, height: int, width: int) -> NDArray[Scalar]:
    """The inverse of `block_rows`."""
    m = block_size
    split = rows.reshape(-1, height // m, width // m, m, m, 3)
    return np.ascontiguousarray(split.transpose(0, 5, 1, 3, 2, 4)).reshape(-1, 3, height, width)


def to_rows(x: Tensor, m: int) -> Tensor:
    """As `block_grid`, of tensors and with a gradient."""
    count, _, height, width = x.shape
    split = x.reshape(count, 3, height // m, m, width // m, m).permute(0, 2, 4, 3, 5, 1)
    return split.reshape(count, height // m, width // m, -1)


def from_rows(rows: Tensor, m: int) -> Tensor:
    """The inverse of `to_rows`."""
    count, down, right, _ = rows.shape
    split = rows.reshape(count, down, right, m, m, 3).permute(0, 5, 1, 3, 2, 4)
    return split.reshape(count, 3, down * m, right * m)
