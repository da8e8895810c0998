"""What images and arguments must be; each error says rule, value and fix."""

from __future__ import annotations

import contextlib
import math
import sys
from collections.abc import Sequence
from fractions import Fraction
from typing import Any, cast, get_args

import numpy as np

from seglock.errors import TransformError
from seglock.methods import METHODS, FfxPassword
from seglock.methods.ffx import FROM_KEY
from seglock.normalisation import Normalisation
from seglock.steps import CHANNELS, Step, check_block_divides

_FINEST = 10**7  # a float holds any fraction k/n exactly enough up to this n


def check_images(images: Any, dtype_name: str, block_size: int, *, encrypted: bool) -> None:
    """Check type, rank, channels, image sides and dtype of an array or tensor ``(B, 3, H, W)``."""
    what = "encrypted images" if encrypted else "images"
    if not isinstance(images, np.ndarray) and not _is_tensor(images):
        raise TransformError(
            f"{what} must be a torch tensor or a NumPy array",
            got=type(images).__name__,
            fix="stack them into one (B, 3, H, W) array",
        )
    shape = tuple(images.shape)
    if len(shape) != 4:
        fix = "add the batch dimension: images[None]" if len(shape) == 3 else None
        raise TransformError(f"{what} must be (B, 3, H, W)", got=f"shape {shape}", fix=fix)
    if shape[1] != CHANNELS:
        fix = "use RGB images, channels before height and width"
        if shape[3] == CHANNELS:
            fix = "these look like NHWC: use images.permute(0, 3, 1, 2), in NumPy transpose"
        raise TransformError(f"{what} must be (B, 3, H, W)", got=f"shape {shape}", fix=fix)
    dtype = str(images.dtype).removeprefix("torch.")
    if dtype != dtype_name:
        raise TransformError(
            f"{what} must be {dtype_name}", got=dtype, fix=_dtype_fix(dtype, dtype_name, encrypted)
        )
    if 0 in shape[2:]:
        raise TransformError(f"{what} must have pixels", got=f"shape {shape}")
    check_block_divides(block_size, shape[2], shape[3])


def _is_tensor(images: object) -> bool:
    torch = sys.modules.get("torch")  # whoever holds a tensor has imported it
    return torch is not None and isinstance(images, torch.Tensor)


def _dtype_fix(dtype: str, wanted: str, encrypted: bool) -> str:
    if encrypted:
        return f"this lock's encrypt gives {wanted}; was it encrypted under another lock?"
    if "float" in dtype:
        return "encrypt pixel values 0..255 before any scaling: (images * 255).round() as uint8"
    return "give pixel values 0..255 as uint8"


def check_step(method: str, block_size: int, fraction: float | None) -> Step:
    """The step that ``build_transform``'s arguments name."""
    if method not in [*METHODS]:
        raise TransformError(
            f"method must be one of {', '.join(METHODS)}",
            got=repr(method),
            fix='write for example build_transform("shf", block_size=4, key=key)',
        )
    if isinstance(block_size, bool) or not isinstance(block_size, int) or block_size < 1:
        raise TransformError(
            "block_size must be a whole number of at least 1",
            got=repr(block_size),
            fix="use 2, 4, 8, ...",
        )
    return Step(method, block_size, None if fraction is None else _percent(fraction))


def _percent(fraction: float) -> int | Fraction:
    if not (isinstance(fraction, int | float | Fraction) and math.isfinite(fraction)) or not (
        0 <= fraction <= 1
    ):
        raise TransformError(
            "fraction must lie in 0..1",
            got=repr(fraction),
            fix="it is the share of a block's positions to touch, 0.25 for a quarter",
        )
    percent = 100 * Fraction(fraction).limit_denominator(_FINEST)
    return percent.numerator if percent.denominator == 1 else percent


def check_ffx_divisor(ffx_divisor: int | None) -> None:
    """A divisor must be a whole number from 1 on."""
    if ffx_divisor is not None and (
        isinstance(ffx_divisor, bool) or not isinstance(ffx_divisor, int) or ffx_divisor < 1
    ):
        raise TransformError(
            "ffx_divisor must be a whole number of at least 1",
            got=repr(ffx_divisor),
            fix="leave it out for the table's maximum, or use 999, the largest FFX value",
        )


def check_normalisation(by: tuple[Sequence[float], Sequence[float]]) -> Normalisation:
    """A mean and a standard deviation by channel, from any pair of them."""
    with contextlib.suppress(TypeError, ValueError):
        mean, std = ((float(red), float(green), float(blue)) for red, green, blue in by)
        if min(std) > 0 and all(map(math.isfinite, mean + std)):
            return Normalisation(mean, std)
    raise TransformError(
        "normalisation must be 3 means and 3 standard deviations above 0",
        got=repr(by),
        fix="write for example ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))",
    )


def check_ffx_password(ffx_password: str | None) -> FfxPassword:
    """``ffx_password`` with its default, from_key."""
    if ffx_password is None:
        return FROM_KEY
    if ffx_password not in get_args(FfxPassword):
        raise TransformError(
            "ffx_password must be from_key or fixed",
            got="something else",  # whoever passes a password itself must not see it in a log
            fix="fixed is a public password; from_key derives one from the key",
        )
    return cast(FfxPassword, ffx_password)
