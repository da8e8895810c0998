"""Network inputs: the formula, and that each type is rounded once, to the nearest."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
import torch

from seglock.normalisation import IMAGENET
from seglock.transforms.input_values import (
    FLOATS,
    FloatName,
    affine_input,
    input_values,
    input_words,
)

SIGNIFICAND = {"float64": 53, "float32": 24, "float16": 11, "bfloat16": 8}
ADVERSE = np.array(
    [
        1 + 2.0**-8 + 2.0**-40,  # by way of float32 this becomes a tie, and 1.0
        1 + 2.0**-8,
        1 + 3 * 2.0**-8,
        -(1 + 2.0**-8 + 2.0**-30),
        2 - 2.0**-9,
        0.1,
        -2.1179,
        0.0,
    ]
)


def nearest(value: float | Fraction, bits: int) -> float:
    """Round to ``bits`` significant bits, ties to even, in exact arithmetic."""
    if value == 0:
        return 0.0
    unit = Fraction(2) ** (math.frexp(value)[1] - bits)
    return float(round(Fraction(value) / unit) * unit)


@pytest.mark.parametrize("name", FLOATS)
def test_each_type_is_rounded_once_to_the_nearest(
    name: FloatName, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = np.concatenate([input_values(np.arange(1000), c, 997, IMAGENET) for c in range(3)])
    values = np.concatenate([values, ADVERSE])
    monkeypatch.setattr("seglock.transforms.input_values.input_values", lambda *_: values)
    words = input_words(values, 0, 255, IMAGENET, name)
    made = torch.from_numpy(words).view(getattr(torch, name)).double().numpy()
    assert made.tolist() == [nearest(value, SIGNIFICAND[name]) for value in values]


def test_rounding_twice_would_differ() -> None:
    """Else the test above could not tell."""
    twice = torch.tensor(ADVERSE[0], dtype=torch.float64).float().bfloat16()
    assert float(twice) != nearest(ADVERSE[0], 8)


def test_the_formula() -> None:
    for channel in range(3):
        for maximum in (255, 731):
            made = input_values(np.array([0, 1, maximum]), channel, maximum, IMAGENET)
            mean, std = IMAGENET.mean[channel], IMAGENET.std[channel]
            expected = [(v / maximum - mean) / std for v in (0, 1, maximum)]
            assert made.tolist() == expected


def test_mean_and_std_are_imagenets() -> None:
    """As published with torchvision's weights, red first."""
    assert IMAGENET.mean == (0.485, 0.456, 0.406)
    assert IMAGENET.std == (0.229, 0.224, 0.225)


@pytest.mark.parametrize("name", ["bfloat16", "float16"])
def test_an_affine_is_used_only_where_it_gives_the_same_bits(name: FloatName) -> None:
    """Fused or not; checked here in exact arithmetic."""
    accepted = []
    for maximum in (255, 731, 997):
        values = np.arange(maximum + 1)
        affine = affine_input(values, maximum, IMAGENET, name)
        accepted.append(affine is not None)
        for channel, (scale, shift) in enumerate([] if affine is None else affine.tolist()):
            words = input_words(values, channel, maximum, IMAGENET, name)
            wanted = torch.from_numpy(words).view(getattr(torch, name)).double().tolist()
            for value, expected in zip(values.tolist(), wanted, strict=True):
                product = Fraction(value) * Fraction(scale)
                fused = nearest(product + Fraction(shift), 24)
                apart = nearest(Fraction(nearest(product, 24)) + Fraction(shift), 24)
                assert nearest(fused, SIGNIFICAND[name]) == expected
                assert nearest(apart, SIGNIFICAND[name]) == expected
    assert any(accepted)
    assert affine_input(np.arange(256), 255, IMAGENET, "float32") is None
