"""From positions in a block to positions in an image that lies in memory as NCHW or NHWC, and from
images to the rows of values that the kernels work on; copies only where it must."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from seglock.steps import CHANNELS

if TYPE_CHECKING:
    import torch

Layout = Literal["nchw", "nhwc"]
Scalar = TypeVar("Scalar", bound=np.generic)
Rows = TypeVar("Rows", bound=Any)
_NHWC = (0, 2, 3, 1)


@dataclass(frozen=True)
class Shape:
    """The image sides, and how images lie in memory where they are read and written."""

    height: int
    width: int
    read: Layout = "nchw"
    write: Layout = "nchw"


def tile(
    values: NDArray[Scalar], block_size: int, height: int, width: int, layout: Layout
) -> NDArray[Scalar]:
    """Lay one value per block position over the whole image.

    Shape: ``(n,)`` in block order to ``(3 * height * width,)`` in the layout's order.

    >>> tile(np.array([10, 20, 30]), 1, 1, 2, "nchw").tolist()
    [10, 10, 20, 20, 30, 30]
    """
    return np.array(_over_blocks(values, block_size, height, width, layout), order="C").reshape(-1)


def source_index(
    permutation: NDArray[np.integer[Any]],
    block_size: int,
    height: int,
    width: int,
    read: Layout,
    write: Layout,
) -> NDArray[np.intp]:
    """Where each value of the written image is read from.

    Shape: intp ``(3 * height * width,)``; entry j is an offset in the image as ``read`` lays it
    out, j an offset as ``write`` does.
    """
    channel, row, column = _strides(height, width, read)
    place = np.arange(len(permutation))
    offset = (
        (place % CHANNELS) * channel
        + (place // CHANNELS % block_size) * column
        + (place // (CHANNELS * block_size)) * row
    )
    down = np.arange(height // block_size) * (block_size * row)
    right = np.arange(width // block_size) * (block_size * column)
    if write == "nchw":
        start = down[:, None, None, None] + right[:, None]
    else:
        start = down[:, None, None, None, None] + right[:, None, None]
    inside = _over_blocks(offset[permutation], block_size, height, width, write)
    index: NDArray[np.intp] = (inside + start).astype(np.intp, copy=False)
    return index.reshape(-1)


def channel_index(height: int, width: int, layout: Layout) -> NDArray[np.uint8]:
    """The channel of each value, uint8 ``(3 * height * width,)``."""
    return tile(np.arange(CHANNELS, dtype=np.uint8), 1, height, width, layout)


def layout_of(images: NDArray[Any]) -> Layout | None:
    """How a ``(B, 3, H, W)`` array lies in memory; None where in neither of the two ways."""
    if images.flags.c_contiguous:
        return "nchw"
    if images.transpose(0, 2, 3, 1).flags.c_contiguous:
        return "nhwc"
    return None


def array_rows(images: Any, write: Layout | None = None) -> tuple[NDArray[Any], Shape]:
    """Images as contiguous rows ``(B, N)``, without a copy where they lie in one of our ways."""
    array = np.asarray(images)
    batch, _, height, width = array.shape
    layout = layout_of(array)
    ordered = array.transpose(_NHWC) if layout == "nhwc" else np.ascontiguousarray(array)
    read = layout or "nchw"
    return ordered.reshape(batch, 3 * height * width), Shape(height, width, read, write or read)


def images_of(rows: Rows, shape: Shape) -> Rows:
    """Rows ``(B, N)``, an array or a tensor, as images ``(B, 3, H, W)``, without a copy."""
    batch, height, width = len(rows), shape.height, shape.width
    images: Rows = rows.reshape(batch, 3, height, width)
    if shape.write == "nhwc":
        images = rows.reshape(batch, height, width, 3).swapaxes(1, 3).swapaxes(2, 3)
    return images


def tensor_rows(images: torch.Tensor, write: Layout | None = None) -> tuple[torch.Tensor, Shape]:
    import torch

    batch, _, height, width = images.shape
    read: Layout = "nchw"
    if not images.is_contiguous() and images.is_contiguous(memory_format=torch.channels_last):
        images, read = images.permute(_NHWC), "nhwc"
    rows = images.contiguous().view(batch, 3 * height * width)
    return rows, Shape(height, width, read, write or read)


def _strides(height: int, width: int, layout: Layout) -> tuple[int, int, int]:
    return (height * width, width, 1) if layout == "nchw" else (1, width * CHANNELS, CHANNELS)


def _over_blocks(
    values: NDArray[Scalar], block_size: int, height: int, width: int, layout: Layout
) -> NDArray[Scalar]:
    m, down, right = block_size, height // block_size, width // block_size
    block = values.reshape(m, m, CHANNELS)
    if layout == "nchw":
        channels_first = block.transpose(2, 0, 1)[:, None, :, None, :]
        return np.broadcast_to(channels_first, (CHANNELS, down, m, right, m))
    return np.broadcast_to(block[None, :, None], (down, m, right, m, CHANNELS))
