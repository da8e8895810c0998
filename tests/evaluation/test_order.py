"""Where all plans of a small space are tried, the order of their scores tells nothing."""

from __future__ import annotations

import pytest

from seglock.evaluation import judge_lock
from seglock.transforms import Transform, incorrect_transforms
from seglock.transforms.key_space import small_space
from tests.attacks.scene import KEY, scene


def all_plans(steps: str) -> list[Transform]:
    """In the order that everyone can list them in."""
    parsed = scene(steps).transform.steps
    return [Transform(parsed, plan) for plan in small_space(parsed, "from_key", 1000) or []]


def test_the_scores_of_all_plans_stand_in_no_public_order() -> None:
    """In the order of enumeration the plan that is missing would be told by its place."""
    made = scene("np-2", count=2, epochs=1)
    wrong = incorrect_transforms(["np-2"], KEY, 1000)
    own = made.under(made.transform)
    published = judge_lock(
        made.network, own.data, own.params, test=made.test, unlabelled=made.attacker.images,
        transform=made.transform, wrong=wrong,
    ).scores.incorrect  # fmt: skip
    assert published is not None
    predicted = [made.judge().answers(mask._plan).miou for mask in all_plans("np-2")]
    assert len(set(predicted)) > 100
    consistent = [
        number for number in range(len(predicted))
        if predicted[:number] + predicted[number + 1 :] == list(published.miou)
    ]  # fmt: skip
    assert not consistent
    assert sorted(predicted) == sorted([*published.miou, made.judge().correct()])


@pytest.mark.parametrize(("steps", "orders"), [("np-1", 2), ("shf-1", 10)])
def test_every_order_of_few_plans_comes_about(steps: str, orders: int) -> None:
    """Whichever is the right one, the others come in any order: the first says nothing of it."""
    plans = all_plans(steps)
    seen: dict[int, set[tuple[int, ...]]] = {number: set() for number in range(len(plans))}
    for number in range(24 * len(plans)):
        wrong = incorrect_transforms([steps], KEY.wrong(number), 9)
        order = tuple(
            next(i for i, plan in enumerate(plans) if plan.same_plan(one)) for one in wrong
        )
        (right,) = set(range(len(plans))) - set(order)
        seen[right].add(order)
    assert all(len(own) >= orders for own in seen.values())
