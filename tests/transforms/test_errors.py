"""Every wrong input has its one clear message: rule, value, fix."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from seglock.errors import ConfigError, TransformError
from seglock.keys import SecretKey
from seglock.steps import Step
from seglock.transforms import build_transform, compose, identity

KEY = SecretKey.from_bytes(bytes(range(32)))
NP = compose(["np-4"], KEY)
FFX = compose(["ffx-4"], KEY)


def u8(*shape: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.zeros(shape, dtype=np.uint8)


IMAGES: tuple[tuple[str, Any, str], ...] = (
    (
        "block",
        u8(1, 3, 10, 10),
        "block_size must divide the image side, got block_size=4, side=10; use one of 2, 5, 10",
    ),
    ("width", u8(1, 3, 8, 6), "got block_size=4, side=8x6; use one of 2"),
    ("rank", u8(3, 8, 8), "got shape (3, 8, 8); add the batch dimension: images[None]"),
    ("flat", u8(8, 8), "must be (B, 3, H, W), got shape (8, 8)"),
    ("nhwc", u8(2, 8, 8, 3), "got shape (2, 8, 8, 3); these look like NHWC"),
    ("gray", u8(2, 1, 8, 8), "got shape (2, 1, 8, 8); use RGB images"),
    ("empty", u8(2, 3, 0, 8), "images must have pixels, got shape (2, 3, 0, 8)"),
    ("float", u8(1, 3, 8, 8) / 255, "must be uint8, got float64; encrypt pixel values 0..255"),
    ("int", u8(1, 3, 8, 8).astype(np.int64), "must be uint8, got int64; give pixel values 0..255"),
    ("bool", u8(1, 3, 8, 8).astype(bool), "must be uint8, got bool"),
    ("tensor", torch.zeros(1, 3, 8, 8), "must be uint8, got float32; encrypt pixel values"),
    ("list", [[1]], "images must be a torch tensor or a NumPy array, got list"),
)


@pytest.mark.parametrize(("images", "message"), [i[1:] for i in IMAGES], ids=[i[0] for i in IMAGES])
def test_images(images: Any, message: str) -> None:
    for work in (NP.encrypt, NP.to_input):
        with pytest.raises(TransformError) as caught:
            work(images)
        assert message in str(caught.value)


def test_encrypted_images_have_the_locks_type() -> None:
    for lock, images, got in (
        (
            NP,
            u8(1, 3, 8, 8).astype(np.int16),
            "must be uint8, got int16; this lock's encrypt gives",
        ),
        (FFX, u8(1, 3, 8, 8), "must be int16, got uint8; this lock's encrypt gives int16"),
        (FFX, u8(1, 3, 8, 8).astype(">i2"), "must be int16, got >i2"),
    ):
        for work in (lock.decrypt, lock.encrypted_to_input):
            with pytest.raises(TransformError) as caught:
                work(images)
            assert got in str(caught.value)


@pytest.mark.parametrize("fraction", [-0.01, 1.01, float("nan"), float("inf"), "half"])
def test_fraction_lies_in_0_to_1(fraction: Any) -> None:
    with pytest.raises(TransformError, match=r"fraction must lie in 0\.\.1, got"):
        build_transform("np", 4, KEY, fraction=fraction)


@pytest.mark.parametrize("block_size", [0, -2, 2.0, "4", None, True])
def test_block_size_is_a_whole_number(block_size: Any) -> None:
    with pytest.raises(TransformError, match="block_size must be a whole number of at least 1"):
        build_transform("np", block_size, KEY)


@pytest.mark.parametrize("method", ["NP", "xor", "np-4", None, ["np"]])
def test_method_is_known(method: Any) -> None:
    with pytest.raises(TransformError, match="method must be one of shf, np, ffx, got"):
        build_transform(method, 4, KEY)


def test_a_password_itself_is_never_repeated() -> None:
    with pytest.raises(TransformError, match="must be from_key or fixed") as caught:
        build_transform("ffx", 4, KEY, ffx_password="hunter2")  # type: ignore[arg-type]
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        (["ffx-4", "np-4"], "write [np-4, ffx-4]"),
        (["ffx-4", "ffx-4"], "at most one FFX step"),
        (["np-4", "shf-2"], "must share one block side, got [np-4, shf-2]"),
    ],
)
def test_impossible_compositions_name_the_order_to_use(steps: list[str], message: str) -> None:
    with pytest.raises(TransformError) as caught:
        compose(steps, KEY)
    assert message in str(caught.value)


def test_steps_need_a_name_and_a_key() -> None:
    with pytest.raises(ConfigError, match="did you mean 'shf'"):
        compose(["shuf-4"], KEY)
    with pytest.raises(TransformError, match=r"needs a key, got key=None; load one"):
        compose(["shf-4"], None)
    assert compose([], None).same_plan(identity())
    with pytest.raises(TransformError, match="must be a list of steps"):
        compose("np-4", KEY)


@given(percent=st.integers(0, 100), m=st.integers(1, 64))
def test_a_fraction_counts_as_its_percent_does(percent: int, m: int) -> None:
    """0.29 * 100 is 28.999999999999996: floats must not lose a position."""
    named = Step("np", m, percent)
    for fraction in (percent / 100, Fraction(percent, 100)):
        [step] = build_transform("np", m, KEY, fraction).steps
        assert step == named
        assert str(step) == f"np-{m}-f{percent}"


@given(m=st.integers(1, 40), data=st.data())
def test_k_of_n_positions_are_k(m: int, data: st.DataObject) -> None:
    n = 3 * m * m
    k = data.draw(st.integers(0, n))
    [step] = build_transform("shf", m, KEY, k / n).steps
    assert step.count == k
