"""What FFX values are divided by: an open point of the paper, so a parameter."""

from __future__ import annotations

import numpy as np
import pytest

from seglock.errors import TransformError
from seglock.keys import SecretKey, demonstration_key
from seglock.normalisation import IMAGENET
from seglock.transforms import (
    build_transform,
    compose,
    incorrect_transforms,
)


def test_the_divisor_scales_the_input_and_nothing_else(key: SecretKey) -> None:
    images = np.random.default_rng(0).integers(0, 256, (2, 3, 8, 8), dtype=np.uint8)
    usual = build_transform("ffx", block_size=4, key=key)
    other = build_transform("ffx", block_size=4, key=key, ffx_divisor=999)
    assert usual.max_value < 1000
    assert other.max_value == 999
    encrypted = other.encrypt(images)
    assert (encrypted == usual.encrypt(images)).all()
    assert (other.decrypt(encrypted) == images).all()
    mean, std = (np.array(v)[:, None, None] for v in IMAGENET)
    expected = ((encrypted / 999 - mean) / std).astype(np.float32)
    assert (other.to_input(images).numpy() == expected).all()
    assert (other.encrypted_to_input(encrypted).numpy() == expected).all()


def test_wrong_keys_divide_alike(key: SecretKey) -> None:
    for password in ("from_key", "fixed"):
        wrong = incorrect_transforms(["ffx-1"], key, 3, password, 999)
        assert {other.max_value for other in wrong} == {999}


def test_without_ffx_the_divisor_changes_nothing(key: SecretKey) -> None:
    assert compose(["np-4", "shf-4"], key, None, 999).max_value == 255


@pytest.mark.parametrize("divisor", [0, -1, 1.5, True, "max"])
def test_a_divisor_is_a_whole_number(key: SecretKey, divisor: object) -> None:
    with pytest.raises(TransformError, match="ffx_divisor must be a whole number"):
        compose(["ffx-4"], key, None, divisor)  # type: ignore[arg-type]


@pytest.fixture
def key() -> SecretKey:
    """A key that everybody knows."""
    return demonstration_key()
