from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from seglock.attacks import Budget, Facts, Meter
from seglock.attacks.climb import Found
from seglock.attacks.gradient import gains, regress_masks
from seglock.attacks.guesses import guess, touched
from seglock.steps import parse_step
from seglock.transforms.plan import Plan

FACTS = Facts((parse_step("np-4"),), "from_key", None, 16)
TRUTH = touched(guess(FACTS, 5, 0))


def linear(guesses: Sequence[Plan]) -> torch.Tensor:
    """A score that falls with every position that is right."""
    return torch.tensor([float((touched(one) != TRUTH).sum()) for one in guesses])


def test_a_linear_score_gives_the_whole_mask() -> None:
    meter = Meter(Budget(400, 600.0), clock=lambda: 0.0)
    start = Found(guess(FACTS, 0, 0), 1e9, ())
    found, gain = regress_masks(FACTS, linear, meter, 0, start, share=0.5)
    assert (touched(found.plan) == TRUTH).all()
    assert ((gain > 0) == TRUTH).all()
    assert meter.queries == 201
    assert found.course[-1] == (201, 0.0)


def test_a_better_start_stays() -> None:
    start = Found(guess(FACTS, 0, 0), -1.0, ())
    meter = Meter(Budget(40, 600.0), clock=lambda: 0.0)
    assert regress_masks(FACTS, linear, meter, 0, start, share=0.5)[0] is start


@given(st.integers(0, 2**32 - 1), st.integers(60, 120))
def test_gains_are_minus_the_slopes(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    slope = rng.normal(size=12)
    masks = rng.integers(0, 2, (count, 12)).astype(float)
    found = gains(masks, masks @ slope, 12)
    assert np.corrcoef(found, -slope)[0, 1] > 0.95


def test_too_little_to_go_by_says_nothing() -> None:
    assert not gains(np.ones((1, 12)), np.ones(1), 12).any()
    assert not gains(np.ones((9, 12)), np.arange(9.0), 12).any()
