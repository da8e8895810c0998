"""Images as the rows of values that the kernels work on, and back; copies only where it must."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from seglock.transforms.layout import Layout, layout_of
from seglock.transforms.recipe import Shape

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

Rows = TypeVar("Rows", bound=Any)
_NHWC = (0, 2, 3, 1)


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
