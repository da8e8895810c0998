"""What the network sees: encrypted values divided by the maximum, then normalised by channel."""

from __future__ import annotations

from itertools import product
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from seglock.normalisation import Normalisation
from seglock.steps import CHANNELS

FloatName = Literal["float32", "float64", "float16", "bfloat16"]
FLOATS: tuple[FloatName, ...] = get_args(FloatName)

_BFLOAT16_DROPS = 45  # bits of float64's significand that bfloat16 does not keep


def input_values(
    values: NDArray[Any], channel: int, max_value: int, by: Normalisation
) -> NDArray[np.float64]:
    """Network inputs of encrypted values: ``(v / max_value - mean) / std`` in float64.

    >>> from seglock.normalisation import IMAGENET
    >>> round(float(input_values(np.array([255]), 0, 255, IMAGENET)[0]), 4)
    2.2489
    """
    scaled = np.asarray(values, dtype=np.float64) / max_value
    return (scaled - by.mean[channel]) / by.std[channel]


def input_words(
    values: NDArray[Any], channel: int, max_value: int, by: Normalisation, float_name: FloatName
) -> NDArray[Any]:
    """The same, rounded once to ``float_name``, as the signed integers of the same bits.

    Integers, because NumPy has no bfloat16: the kernels move bits and never calculate.
    """
    return _words(input_values(values, channel, max_value, by), float_name)


def _words(exact: NDArray[np.float64], float_name: FloatName) -> NDArray[Any]:
    if float_name == "bfloat16":
        return _bfloat16_words(exact)
    rounded = exact.astype(float_name)
    return rounded.view(f"int{rounded.itemsize * 8}")


def affine_input(
    values: NDArray[Any], max_value: int, by: Normalisation, float_name: FloatName
) -> NDArray[np.float32] | None:
    """Scale and shift by channel, float32 ``(3, 2)``, that give `input_words` of these values.

    None where ``value * scale + shift`` in float32, fused or not, would round any of them to
    something else: always for types as fine as float32.
    """
    if float_name not in ("bfloat16", "float16"):
        return None
    found = []
    for channel in range(CHANNELS):
        wanted = input_words(values, channel, max_value, by, float_name)
        std, mean = by.std[channel], by.mean[channel]
        near = product(_around(1 / (max_value * std)), _around(-mean / std))
        fitting = (pair for pair in near if _gives(wanted, values, *pair, float_name))
        pair = next(fitting, None)
        if pair is None:
            return None
        found.append(pair)
    return np.array(found, dtype=np.float32)


def _around(value: float) -> tuple[np.float32, ...]:
    """The nearest float32 and its two neighbours: a tie that one misses, another may not."""
    nearest = np.float32(value)
    ends = (np.float32(-np.inf), np.float32(np.inf))
    return (nearest, *(np.nextafter(nearest, end) for end in ends))


def _gives(
    wanted: NDArray[Any],
    values: NDArray[Any],
    scale: np.float32,
    shift: np.float32,
    float_name: FloatName,
) -> bool:
    fused = (values.astype(np.float64) * np.float64(scale) + np.float64(shift)).astype(np.float32)
    apart = values.astype(np.float32) * scale + shift
    return all(
        np.array_equal(_words(made.astype(np.float64), float_name), wanted)
        for made in (fused, apart)
    )


def _bfloat16_words(values: NDArray[np.float64]) -> NDArray[np.int16]:
    """Round to nearest, ties to even, straight from float64 (by way of float32 it is twice)."""
    bits = np.ascontiguousarray(values).view(np.uint64)
    drops = np.uint64(_BFLOAT16_DROPS)
    odd = (bits >> drops) & np.uint64(1)
    half = np.uint64((1 << (_BFLOAT16_DROPS - 1)) - 1)
    kept = ((bits + half + odd) >> drops) << drops
    as_float32 = kept.view(np.float64).astype(np.float32)
    return (as_float32.view(np.uint32) >> np.uint32(16)).astype(np.uint16).view(np.int16)
