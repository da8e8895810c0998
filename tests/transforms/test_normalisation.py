"""A network's own normalisation: a transform carries it, and all that is made from it do."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from seglock.attacks.blocks import block_grid, grid_images
from seglock.attacks.protocol import Facts
from seglock.attacks.soft_plan import inputs_under, soft_plan
from seglock.config import RefuseParams
from seglock.errors import TransformError
from seglock.keys import demonstration_key
from seglock.normalisation import IMAGENET, Normalisation
from seglock.transforms import (
    Unauthorised,
    build_transform,
    compose,
    identity,
    incorrect_transforms,
)

KEY = demonstration_key()
HALF = Normalisation((0.5,) * 3, (0.5,) * 3)
LOCKS = [["np-1"], ["np-4"], ["shf-4"], ["ffx-4"], ["np-4", "shf-4", "ffx-4-f30"]]
IMAGES = np.random.default_rng(0).integers(0, 256, (2, 3, 8, 8), dtype=np.uint8)


@given(st.integers(0, 2**63), st.sampled_from([1, 2, 4]), st.sampled_from([0.25, 0.5, 1.0]))
def test_around_mid_grey_np_is_a_change_of_sign(seed: int, block: int, fraction: float) -> None:
    images = np.random.default_rng(seed).integers(0, 256, (1, 3, 8, 8), dtype=np.uint8)
    lock = build_transform("np", block, KEY.wrong(seed), fraction, normalisation=HALF)
    touched = lock.encrypt(images) != images  # 255 is odd: no value is its own negative
    plain = identity(HALF).to_input(images)
    signs = torch.from_numpy(np.where(touched, -1.0, 1.0)).float()
    assert torch.equal(lock.to_input(images), signs * plain)


@pytest.mark.parametrize("steps", [[], ["np-4"]])
def test_a_plain_pair_is_as_good(steps: list[str]) -> None:
    lock = compose(steps, KEY, normalisation=((0.5,) * 3, (0.5,) * 3))
    assert lock.normalisation == HALF
    assert torch.equal(
        lock.to_input(IMAGES), compose(steps, KEY, normalisation=HALF).to_input(IMAGES)
    )


@pytest.mark.parametrize(
    "by",
    [
        ((0.5,) * 3,), ((0.5,) * 3, (0.5,) * 2), ((0.5,) * 3, (0.5, 0.5, 0.0)), (0.5, 0.5), None,
        ((0.5, 0.5, float("nan")), (0.5,) * 3), ("abc", "abc"),
    ],
)  # fmt: skip
def test_anything_else_is_refused_at_once(by: Any) -> None:
    with pytest.raises(TransformError, match="normalisation must be 3 means and 3 standard dev"):
        compose(["np-4"], KEY, normalisation=by)


@pytest.mark.parametrize("steps", LOCKS, ids="+".join)
def test_inputs_follow_the_formula_under_any_normalisation(steps: list[str]) -> None:
    by = Normalisation((0.1, 0.2, 0.3), (0.5, 0.25, 0.125))
    lock = compose(steps, KEY, normalisation=by)
    encrypted = lock.encrypt(IMAGES)
    mean, std = (np.array(values)[:, None, None] for values in by)
    wanted = ((encrypted / lock.max_value - mean) / std).astype(np.float32)
    assert torch.equal(lock.to_input(IMAGES), torch.from_numpy(wanted))
    assert torch.equal(lock.encrypted_to_input(encrypted), torch.from_numpy(wanted))
    assert lock.same_plan(compose(steps, KEY))
    assert compose(steps, KEY).normalisation == IMAGENET


@pytest.mark.parametrize("steps", LOCKS, ids="+".join)
def test_what_is_made_beside_a_lock_is_normalised_alike(steps: list[str]) -> None:
    right = compose(steps, KEY, ffx_divisor=999, normalisation=HALF)
    wrong = incorrect_transforms(steps, KEY, 4, ffx_divisor=999, normalisation=HALF)
    drawn = Unauthorised(right, KEY, RefuseParams(weight=1))
    others = [*wrong, *(drawn.draw(number).transform for number in range(30))]
    assert {other.normalisation for other in others} == {HALF}


@pytest.mark.parametrize("steps", LOCKS, ids="+".join)
def test_a_thief_knows_how_the_network_wants_its_inputs(steps: list[str]) -> None:
    lock = compose(steps, KEY, normalisation=HALF)
    facts = Facts(lock.steps, "from_key", None, 8, lock.normalisation)
    rows = block_grid(torch.from_numpy(IMAGES), facts.block_size)
    seen = inputs_under(soft_plan(lock._plan, facts, torch.device("cpu")), rows, facts)
    inputs = grid_images(seen, facts.block_size)
    assert torch.allclose(inputs, lock.to_input(IMAGES), atol=1e-4)
