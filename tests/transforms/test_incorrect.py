"""Incorrect transforms: other plans under other keys, all of them where there are few."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from itertools import count

import numpy as np
import pytest

from seglock.errors import EvaluationError
from seglock.keys import SecretKey
from seglock.transforms import Transform, compose, incorrect_transforms

KEY = SecretKey.from_bytes(bytes(range(32)))


@pytest.mark.parametrize("steps", [["shf-4"], ["np-4"], ["ffx-4"], ["np-4", "shf-4"]])
def test_they_are_the_wrong_keys_in_order(steps: list[str]) -> None:
    wrong = incorrect_transforms(steps, KEY, 6)
    assert len(wrong) == 6
    for number, transform in enumerate(wrong):
        assert transform.same_plan(compose(steps, KEY.wrong(number)))
        assert transform.steps == compose(steps, KEY).steps
    more = incorrect_transforms(steps, KEY, 8)
    assert all(a.same_plan(b) for a, b in zip(wrong, more, strict=False))


def test_keys_with_the_right_plan_are_skipped() -> None:
    """Swapping one pair at most: half of the keys change nothing, so many plans repeat."""
    steps = ["shf-2-f20"]
    key = next(k for k in map(KEY.wrong, count()) if compose(steps, k).same_plan(nothing_moved()))
    right = compose(steps, key)
    differ = [n for n in range(200) if not compose(steps, key.wrong(n)).same_plan(right)][:40]
    assert 60 < differ[-1] < 120
    wrong = incorrect_transforms(steps, key, 40)
    assert all(
        w.same_plan(compose(steps, key.wrong(n))) for w, n in zip(wrong, differ, strict=True)
    )


def nothing_moved() -> Transform:
    return compose(["shf-2-f0"], KEY)


@pytest.mark.parametrize(
    ("steps", "others"), [(["np-1"], 2), (["shf-1"], 5), (["np-1", "shf-1"], 17), (["np-2"], 923)]
)
def test_all_other_plans_where_there_are_few(steps: list[str], others: int) -> None:
    right = compose(steps, KEY)
    for asked in (others, others + 50):
        wrong = incorrect_transforms(steps, KEY, asked)
        assert len(wrong) == others
        assert not any(w.same_plan(right) for w in wrong)
        assert not any(a.same_plan(b) for a, b in itertools.combinations(wrong[:60], 2))
    assert len(incorrect_transforms(steps, KEY, others - 1)) == others - 1


def test_a_fixed_password_leaves_only_the_mask() -> None:
    wrong = incorrect_transforms(["ffx-1"], KEY, 50, "fixed")
    assert len(wrong) == 2
    images = np.full((1, 3, 1, 1), 9, dtype=np.uint8)
    values = {int(v) for w in wrong for v in w.encrypt(images).reshape(-1)}
    assert len(values) == 2
    assert len(incorrect_transforms(["ffx-1"], KEY, 50)) == 50


@pytest.mark.parametrize(
    "steps", [[], ["np-2-f0"], ["np-2-f100"], ["shf-2-f0"], ["shf-1-f34"], ["ffx-2-f0"]]
)
def test_a_lock_with_one_plan_is_refused(steps: list[str]) -> None:
    with pytest.raises(EvaluationError, match="must have more than one plan") as caught:
        incorrect_transforms(steps, KEY, 5)
    assert re.search(r"got steps .+; use a larger block", str(caught.value))


def test_none_are_asked_for() -> None:
    assert len(incorrect_transforms(["np-4"], KEY, 0)) == 0


def test_they_are_a_sequence_in_any_order_of_asking() -> None:
    steps = ["shf-2-f20"]  # half of the keys give the plan of another
    in_order = list(incorrect_transforms(steps, KEY, 12))
    wrong = incorrect_transforms(steps, KEY, 12)
    assert wrong[7].same_plan(in_order[7])
    assert wrong[-1].same_plan(in_order[11])
    assert wrong[7].same_plan(in_order[7])
    assert [t.same_plan(i) for t, i in zip(wrong[2:9:3], in_order[2:9:3], strict=True)] == [
        True
    ] * 3
    with pytest.raises(IndexError):
        wrong[12]


@pytest.mark.parametrize("steps", [["shf-32"], ["np-32"], ["ffx-32"]])
def test_they_hold_no_plan(steps: list[str], live_plans: Callable[[], int]) -> None:
    wrong = incorrect_transforms(steps, KEY, 20)
    most = max(live_plans() for _ in wrong)
    assert most <= 3  # the right one, this one, and the next while it is made
    assert live_plans() == 1
