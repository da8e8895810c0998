from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from seglock.config import RefusedShares, RefuseParams
from seglock.keys import SecretKey, demonstration_key
from seglock.transforms import Transform, Unauthorised, compose, incorrect_transforms

LOCKS = [("np-4",), ("shf-4",), ("ffx-4",), ("np-4", "shf-4"), ("np-4", "shf-4", "ffx-4-f30")]
KEY = demonstration_key()


def drawn(
    steps: tuple[str, ...], key: SecretKey = KEY, divisor: int | None = None, **shares: float
) -> tuple[Transform, Unauthorised]:
    right = compose(steps, key, ffx_divisor=divisor)
    kinds = {"plain": 0.0, "wrong": 0.0, "near": 0.0} | shares
    return right, Unauthorised(right, key, RefuseParams(weight=1, shares=RefusedShares(**kinds)))


@pytest.mark.parametrize("steps", LOCKS, ids="+".join)
def test_wrong_keys_are_fresh_and_none_is_evaluations(steps: tuple[str, ...]) -> None:
    right, made = drawn(steps, divisor=999, wrong=1.0)
    others = [made.draw(number).transform for number in range(6)]
    judged = incorrect_transforms(steps, KEY, 20, ffx_divisor=999)
    for one, other in itertools.combinations([right, *others, *judged], 2):
        assert not one.same_plan(other)
    assert {one.max_value for one in others} == {right.max_value}


@pytest.mark.parametrize("steps", LOCKS, ids="+".join)
def test_near_plans_are_a_few_exchanges_away(steps: tuple[str, ...]) -> None:
    right, made = drawn(steps, near=1.0)
    own = right._plan
    for number in range(20):
        plan = made.draw(number).transform._plan
        changed = (plan.permutation != own.permutation) | (plan.selector != own.selector)
        assert 2 <= changed.sum() <= 8
        assert sorted(plan.selector) == sorted(own.selector)


def test_in_a_tiny_space_the_right_plan_is_never_drawn() -> None:
    right, made = drawn(("np-1",), wrong=0.5, near=0.5)
    assert not any(made.draw(number).transform.same_plan(right) for number in range(50))


def test_shares_say_how_often() -> None:
    right, made = drawn(("np-4",), plain=0.5, wrong=0.3, near=0.2)
    draws = [made.draw(number) for number in range(400)]
    under_steps = [draw.transform._plan for draw in draws if draw.transform.steps]
    changed = [(plan.selector != right._plan.selector).sum() for plan in under_steps]
    plain, near = 1 - len(under_steps) / len(draws), np.mean([one <= 8 for one in changed])
    assert plain == pytest.approx(0.5, abs=0.08)
    assert near == pytest.approx(0.4, abs=0.1)
    assert np.mean([draw.batch_statistics for draw in draws]) == pytest.approx(0.5, abs=0.08)


def same(one: Any, other: Any) -> bool:
    return bool(one.transform.same_plan(other.transform))


def test_a_draw_is_a_function_of_key_lock_and_number() -> None:
    make: Callable[..., Unauthorised] = lambda *given, **named: drawn(*given, **named)[1]  # noqa: E731
    one = make(("np-4",), wrong=1.0)
    assert same(one.draw(3), make(("np-4",), wrong=1.0).draw(3))
    assert not same(one.draw(3), one.draw(4))
    other = make(("np-4",), SecretKey.from_bytes(bytes(range(32))), wrong=1.0)
    assert not same(one.draw(3), other.draw(3))
    assert not same(one.draw(3), make(("np-4", "shf-4"), wrong=1.0).draw(3))


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_batch_statistics_as_often_as_asked(share: float) -> None:
    right, _ = drawn(("np-4",), plain=1.0)
    made = Unauthorised(right, KEY, RefuseParams(weight=1, batch_statistics=share))
    assert {made.draw(number).batch_statistics for number in range(20)} == {bool(share)}


def test_it_shows_no_secret() -> None:
    assert repr(drawn(("np-4",), plain=1.0)[1]).startswith("<seglock.transforms.unauthorised")


@pytest.mark.parametrize(("share", "least", "most"), [(1.0, 40, 40), (0.5, 10, 30), (0.0, 0, 0)])
def test_a_key_that_leaked_is_refused_so_often(share: float, least: int, most: int) -> None:
    right, leaked = (compose(["np-4"], KEY.wrong(number)) for number in (1, 2))
    made = Unauthorised(right, KEY, RefuseParams(weight=1), leaked, share)
    draws = [made.draw(number).transform for number in range(40)]
    assert least <= sum(draw.same_plan(leaked) for draw in draws if draw.steps) <= most
