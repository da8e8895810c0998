"""Apply a plan to checked images: NumPy for arrays and CPU tensors, torch for accelerators."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from seglock.errors import TransformError
from seglock.methods.ffx import FFX_RANGE
from seglock.transforms import apply_compiled, apply_numpy
from seglock.transforms.input_values import FLOATS
from seglock.transforms.layout import array_rows, images_of, tensor_rows
from seglock.transforms.plan import inverse_plan
from seglock.transforms.recipe import prepare

if TYPE_CHECKING:
    from types import ModuleType

    import torch
    from numpy.typing import NDArray

    from seglock.transforms.input_values import FloatName
    from seglock.transforms.layout import Layout
    from seglock.transforms.plan import Plan
    from seglock.transforms.recipe import Recipe


def apply_plan(plan: Plan, images: Any) -> Any:
    """Encrypt uint8 ``(B, 3, H, W)``: the same kind of array, of the plan's type."""
    if on_accelerator(images):
        from seglock.transforms import apply_torch

        rows, shape = tensor_rows(images)
        return images_of(apply_torch.encrypted(plan, rows, shape), shape)
    values, shape = array_rows(images)
    recipe = prepare(plan, "encrypt", shape)
    encrypted = _flipped(recipe, images, values)
    if encrypted is None:
        encrypted = _cpu_kernel(recipe, values).apply(recipe, values)
    return _like(images, images_of(encrypted, shape))


def undo_plan(plan: Plan, encrypted: Any) -> tuple[Any, int]:
    """Decrypt: uint8 ``(B, 3, H, W)``, and how many values the plan gives for no pixel."""
    if plan.dtype_name == "uint8":
        return apply_plan(inverse_plan(plan), encrypted), 0
    if on_accelerator(encrypted):
        from seglock.transforms import apply_torch

        rows, shape = tensor_rows(encrypted)
        images, bad = apply_torch.decrypted(plan, rows, shape)
        return images_of(images, shape), bad
    values, shape = array_rows(encrypted)
    recipe = prepare(plan, "decrypt", shape)
    plain, bad = _cpu_kernel(recipe, values).apply_inverse(recipe, values)
    return _like(encrypted, images_of(plain, shape)), bad


def input_of(
    plan: Plan,
    work: Literal["to_input", "encrypted_to_input"],
    images: Any,
    dtype: torch.dtype | None,
    memory_format: torch.memory_format | None,
) -> torch.Tensor:
    """The network's input from plain (``to_input``) or encrypted images."""
    import torch

    dtype = torch.float32 if dtype is None else dtype
    name, write = _float_name(dtype), _write_layout(memory_format)
    if on_accelerator(images):
        from seglock.transforms import apply_torch

        rows, shape = tensor_rows(images, write)
        return images_of(apply_torch.inputs(plan, work, rows, shape, name), shape)
    values, shape = array_rows(images, write)
    recipe = prepare(plan, work, shape, name)
    words = _cpu_kernel(recipe, values).apply(recipe, values)
    return images_of(torch.from_numpy(words).view(dtype), shape)


def on_accelerator(images: Any) -> bool:
    """Whether images are a tensor that the CPU cannot read."""
    return not isinstance(images, np.ndarray) and images.device.type != "cpu"


def count_outside(encrypted: Any) -> int:
    """How many values lie outside 0..999; those of uint8 images cannot."""
    if encrypted.dtype.itemsize == 1:
        return 0
    if on_accelerator(encrypted):
        return int(((encrypted < 0) | (encrypted >= FFX_RANGE)).sum())
    values = np.asarray(encrypted).view(np.uint16)  # negative values become large ones
    return int((values >= FFX_RANGE).sum()) if values.max(initial=0) >= FFX_RANGE else 0


def _cpu_kernel(recipe: Recipe, values: NDArray[Any]) -> ModuleType:
    return apply_compiled if apply_compiled.pays(recipe, values) else apply_numpy


def _flipped(recipe: Recipe, images: Any, values: NDArray[Any]) -> NDArray[Any] | None:
    """The one XOR that NP is, for tensors; None for other recipes and for arrays.

    Torch's threads are waiting already, where starting ours would take as long as the work.
    """
    only = recipe.flip is not None and recipe.source is None and recipe.lookup is None
    if not only or isinstance(images, np.ndarray):
        return None
    import torch

    out = np.empty_like(values)  # NumPy's memory comes in huge pages, where it is large
    flip = torch.from_numpy(recipe.flip)
    torch.bitwise_xor(torch.from_numpy(values), flip, out=torch.from_numpy(out))
    return out


def _float_name(dtype: torch.dtype) -> FloatName:
    for name in FLOATS:
        if str(dtype) == f"torch.{name}":
            return name
    raise TransformError(
        f"a network's input must be one of {', '.join(FLOATS)}",
        got=str(dtype),
        fix="leave dtype out for float32",
    )


def _write_layout(memory_format: torch.memory_format | None) -> Layout | None:
    known: dict[str, Layout | None] = {
        "None": None,
        "torch.preserve_format": None,
        "torch.contiguous_format": "nchw",
        "torch.channels_last": "nhwc",
    }
    if str(memory_format) not in known:
        raise TransformError(
            "memory_format must be contiguous_format or channels_last",
            got=memory_format,
            fix="leave it out to keep the images' own",
        )
    return known[str(memory_format)]


def _like(images: Any, made: NDArray[Any]) -> Any:
    if isinstance(images, np.ndarray):
        return made
    import torch

    return torch.from_numpy(made)
