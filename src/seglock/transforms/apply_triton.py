"""The kernel on CUDA: one pass, each value read once and written once, in any layout and type.

A program takes a tile of the image as it is written, works out once where its values come from,
and applies that to several images. A tile is as many rows high as a block, so that the bytes it
gathers are its own and are found in the first cache again. For a block too large for that, a
program takes a whole image, which fits in that cache.
"""

from __future__ import annotations

import os
import shutil
import sysconfig
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from seglock.steps import CHANNELS
from seglock.transforms.block_recipe import LARGEST_BLOCK, BlockRecipe, block_recipe

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from seglock.transforms.input_values import FloatName
    from seglock.transforms.layout import Shape
    from seglock.transforms.plan import Plan
    from seglock.transforms.recipe import Work

_OLDEST = (8, 0)  # compute capability: bfloat16 in hardware
_LARGEST_IMAGE = 1 << 31  # values: offsets inside one image are 32 bits wide, between images 64
_WHOLE = 64  # larger blocks than this leave the first cache unless a program keeps to its image
_IMAGES = 8  # that one program applies its tile to


@lru_cache(maxsize=8)
def usable(device: torch.device) -> bool:
    """Whether Triton can work here: on a card of its age, with what it needs to start kernels."""
    if device.type != "cuda" or find_spec("triton") is None:
        return False
    compiler = os.environ.get("CC") or shutil.which("gcc") or shutil.which("clang")
    headers = Path(sysconfig.get_paths()["include"]) / "Python.h"
    new_enough = torch.cuda.get_device_capability(device) >= _OLDEST
    return new_enough and compiler is not None and headers.is_file()


def fits(plan: Plan, shape: Shape) -> bool:
    """Whether block and image are small enough for this kernel's numbers."""
    return plan.size <= LARGEST_BLOCK and CHANNELS * shape.height * shape.width < _LARGEST_IMAGE


@lru_cache(maxsize=8)
def place(
    device: torch.device, plan: Plan, work: Work, float_name: FloatName = "float32"
) -> BlockRecipe:
    """The recipe for one kind of work, its arrays as tensors on one device; the last few are kept.

    Its words are int32, of the same bits.
    """
    recipe = block_recipe(plan, work, float_name)
    return replace(
        recipe,
        words=_sent(recipe.words.view(np.int32), device),
        tables=_sent(recipe.tables, device),
        affine=_sent(recipe.affine, device),
        inputs=_sent(recipe.inputs, device),
    )


def _sent(array: NDArray[Any] | None, device: torch.device) -> Tensor | None:
    """A copy on the device, by way of pinned memory, so that nothing waits for the device."""
    if array is None:
        return None
    tensor = torch.from_numpy(np.array(array))
    if device.type == "cuda":
        tensor = tensor.pin_memory()
    return tensor.to(device, non_blocking=True)


def apply(placed: BlockRecipe, rows: Tensor, shape: Shape, dtype: torch.dtype) -> Tensor:
    """Encrypt, or give the network's input. Shape: rows ``(B, N)``, a new ``(B, N)`` of dtype.

    Waits for nothing: the kernel is only queued.
    """
    out = torch.empty(rows.shape, dtype=dtype, device=rows.device)
    words = out if placed.inputs is None else out.view(placed.inputs.dtype)
    _launch(placed, rows, words, None, shape)
    return out


def apply_inverse(placed: BlockRecipe, rows: Tensor, shape: Shape) -> tuple[Tensor, int]:
    """Decrypt: uint8 ``(B, N)``, and how many values no pixel could have given."""
    out = torch.empty(rows.shape, dtype=torch.uint8, device=rows.device)
    bad = torch.zeros(1, dtype=torch.int64, device=rows.device)
    _launch(placed, rows, out, bad, shape)
    return out, int(bad)


@dataclass(frozen=True)
class Tiling:
    """How the work is cut: a tile's rows and columns, and what one program does of both."""

    rows: int
    columns: int
    warps: int
    tiles: int  # of one plane, or of all where channels lie beside each other
    tiles_each: int
    images_each: int
    programs: int

    @classmethod
    def of(cls, placed: BlockRecipe, batch: int, shape: Shape, processors: int) -> Tiling:
        """``processors``: how many the card has; each holds one program of 32 warps at a time."""
        line = shape.width * (CHANNELS if shape.write == "nhwc" else 1)
        side = 1 << (placed.block_size - 1).bit_length() if placed.moves else 1
        whole = side > _WHOLE
        rows = 32 if whole else max(4, side)
        columns = 256 if whole else max(64, min(256, 2048 // rows))
        tiles = -(-shape.height // rows) * -(-line // columns)
        if not whole:
            warps, programs = 4 if rows * columns <= 1024 else 8, tiles * -(-batch // _IMAGES)
            return cls(rows, columns, warps, tiles, 1, _IMAGES, programs)
        parts = min(tiles, -(-processors // batch))  # of an image, where images are few
        tiles_each = -(-tiles // parts)
        programs = -(-tiles // tiles_each) * min(batch, processors)
        return cls(rows, columns, 32, tiles, tiles_each, 1, programs)


def constants_of(placed: BlockRecipe, shape: Shape, cut: Tiling) -> dict[str, int | bool]:
    """What the kernel is compiled for."""
    return {
        "BLOCK": placed.block_size,
        "ONE_BLOCK": shape.write == "nhwc" and shape.height == shape.width == placed.block_size,
        "GATHERS": placed.moves or shape.read != shape.write,
        "READ_NHWC": shape.read == "nhwc",
        "WRITE_NHWC": shape.write == "nhwc",
        "WIDTH": 0 if placed.tables is None else placed.tables.shape[1],
        "REACH": 0 if placed.inputs is None else placed.inputs.shape[1],
        "UNCHANGED": placed.unchanged,
        "ROWS": cut.rows,
        "COLUMNS": cut.columns,
        "IMAGES": cut.images_each,
        "UNROLL": min(cut.images_each, 2),
    }


def _launch(
    placed: BlockRecipe, rows: Tensor, out: Tensor, bad: Tensor | None, shape: Shape
) -> None:
    from seglock.transforms.triton_kernel import transform_kernel

    batch, size = rows.shape
    if batch == 0:
        return
    cut = Tiling.of(placed, batch, shape, _processors(rows.device))
    with torch.cuda.device(rows.device) if rows.is_cuda else nullcontext():
        transform_kernel[(cut.programs,)](
            rows,
            out,
            placed.words,
            placed.tables,
            placed.affine,
            placed.inputs,
            bad,
            batch,
            size,
            shape.height,
            shape.width,
            cut.tiles,
            cut.tiles_each,
            num_warps=cut.warps,
            enable_fp_fusion=True,  # either way gives the same bits: see affine_input
            **constants_of(placed, shape, cut),
        )


@lru_cache(maxsize=8)
def _processors(device: torch.device) -> int:
    if device.type != "cuda":
        return 4  # the interpreter's, in tests
    return torch.cuda.get_device_properties(device).multi_processor_count
