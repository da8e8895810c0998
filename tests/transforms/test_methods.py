"""Methods: what each touches, pinned by vectors: the same key gives the same images for ever."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seglock.config.steps import parse_step
from seglock.keys import SecretKey
from seglock.transforms import build_transform, compose
from seglock.transforms.plan import COMPLEMENT, IDENTITY

KEY = SecretKey.from_bytes(bytes(range(32)))
IMAGES = (np.arange(2 * 3 * 32 * 32, dtype=np.int64) * 167 % 251).astype(np.uint8)
IMAGES = IMAGES.reshape(2, 3, 32, 32)

FROZEN: dict[tuple[tuple[str, ...], str], str] = {
    (("shf-2",), None): "9174007cb3ec8584",
    (("shf-4",), None): "4a1d07bc330f8edb",
    (("shf-4-f50",), None): "1489ff075ee5b4ed",
    (("shf-32",), None): "44d3d7ff0b7cb690",
    (("np-1",), None): "c291db4e913dcfbe",
    (("np-4",), None): "fb073de994bd78ea",
    (("np-4-f25",), None): "e58ae2b92c3a927a",
    (("np-32",), None): "f2ca0715d3af0aef",
    (("ffx-4",), None): "c65a7ceb9c072c33",
    (("ffx-4",), "fixed"): "b3f5ff4734358eb3",
    (("ffx-16-f10",), None): "3deb6a1a3c8bf4ff",
    (("np-4", "shf-4"), None): "edea3506653516e1",
    (("np-4", "shf-4", "ffx-4", "shf-4"), None): "2c7193ea02c0f2b0",
    (("shf-4", "shf-4"), None): "52e57c9c7e00234f",
}


@pytest.mark.parametrize(("lock", "digest"), FROZEN.items(), ids=str)
def test_frozen_vectors(lock: tuple[tuple[str, ...], str], digest: str) -> None:
    """SHA-256 of the encrypted ``IMAGES``, NCHW, little-endian, first 16 hex digits."""
    steps, password = lock
    encrypted = compose(steps, KEY, password).encrypt(IMAGES)  # type: ignore[arg-type]
    little = encrypted.astype(encrypted.dtype.newbyteorder("<"))
    assert hashlib.sha256(little.tobytes()).hexdigest()[:16] == digest


@given(m=st.integers(1, 6), percent=st.integers(0, 100))
def test_np_and_ffx_touch_exactly_their_count(m: int, percent: int) -> None:
    for method in ("np", "ffx"):
        step = parse_step(f"{method}-{m}-f{percent}")
        plan = compose([step], KEY)._plan
        plain = [index for index, table in enumerate(plan.tables) if (table == IDENTITY).all()]
        touched = ~np.isin(plan.selector, plain)
        assert touched.sum() == step.count == 3 * m * m * percent // 100
        assert np.array_equal(plan.permutation, np.arange(plan.size))


@given(m=st.integers(1, 6), percent=st.integers(0, 100))
def test_shf_moves_at_most_its_count(m: int, percent: int) -> None:
    plan = compose([f"shf-{m}-f{percent}"], KEY)._plan
    assert (plan.permutation != np.arange(plan.size)).sum() <= 3 * m * m * percent // 100
    assert np.array_equal(np.sort(plan.permutation), np.arange(plan.size))
    assert np.array_equal(plan.tables, IDENTITY[None])


def test_the_papers_shares_are_all_for_shf_and_half_for_np_and_ffx() -> None:
    for m in (1, 2, 3, 4):
        half = 3 * m * m // 2
        np_plan = build_transform("np", m, KEY)._plan
        assert (np_plan.tables[np_plan.selector] == COMPLEMENT).all(axis=1).sum() == half
        ffx_plan = build_transform("ffx", m, KEY)._plan
        assert (ffx_plan.tables[ffx_plan.selector] != IDENTITY).any(axis=1).sum() == half
        assert build_transform("shf", m, KEY).same_plan(build_transform("shf", m, KEY, 1.0))


def test_partial_shf_reaches_every_pair_of_positions() -> None:
    moved = set()
    for number in range(200):
        plan = compose(["shf-1-f67"], KEY.wrong(number))._plan
        moved.add(tuple(plan.permutation.tolist()))
    assert moved == {(0, 1, 2), (1, 0, 2), (2, 1, 0), (0, 2, 1)}


@pytest.mark.parametrize("method", ["shf", "np", "ffx"])
def test_each_step_draws_for_itself(method: str) -> None:
    """Position, count and block side change the draw: none of these may repeat another."""
    masks = {
        tuple(compose(steps, KEY).encrypt(IMAGES)[0, :, :4, :4].reshape(-1).tolist())
        for steps in (
            [f"{method}-4"],
            [f"{method}-2"],
            [f"{method}-4-f40"],
            [f"{method}-4-f60"],
            ["shf-4-f0", f"{method}-4"],
        )
    }
    assert len(masks) == 5


def ffx_values(steps: list[str], key: SecretKey, password: str | None = None) -> list[int]:
    plan = compose(steps, key, password)._plan  # type: ignore[arg-type]
    return next(row.tolist() for row in plan.tables if (row != IDENTITY).any())


def test_the_password_comes_from_the_key_or_is_public() -> None:
    steps, other = ["ffx-4"], KEY.wrong(0)
    from_key = ffx_values(steps, KEY)
    assert from_key == ffx_values(steps, KEY, "from_key") != ffx_values(steps, other)
    assert ffx_values(steps, KEY, "fixed") == ffx_values(steps, other, "fixed") != from_key


def test_a_leaked_table_gives_that_of_no_other_lock() -> None:
    """Pairs under one lock show its table; block side, count and position give others of a key."""
    locks = (["ffx-2"], ["ffx-4"], ["ffx-4-f25"], ["shf-4-f0", "ffx-4"])
    assert len({tuple(ffx_values(steps, KEY)) for steps in locks}) == len(locks)
    assert ffx_values(["ffx-2"], KEY, "fixed") == ffx_values(["ffx-4"], KEY, "fixed")


@pytest.mark.parametrize("key", [KEY, KEY.wrong(0)])
def test_max_value_is_the_tables_maximum(key: SecretKey) -> None:
    transform = build_transform("ffx", 4, key)
    every_value = np.arange(256, dtype=np.uint8).repeat(48).reshape(256, 3, 4, 4)
    assert transform.max_value == transform.encrypt(every_value).max()
    assert 255 < transform.max_value <= 999
    assert build_transform("np", 4, key).max_value == 255
    assert build_transform("shf", 4, key).max_value == 255
