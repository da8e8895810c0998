"""The gradient of the whole network mends an order that is nearly right, and keeps a right one."""

from __future__ import annotations

import itertools

import pytest
import torch

from seglock.attacks import Budget, Meter
from seglock.attacks.channel_gradient import Presented, improved
from seglock.models import permuted
from seglock.transforms import FeaturePlan
from tests.attacks.scene import Scene, scene

LAYER = "block2"


@pytest.fixture(scope="module")
def made() -> Scene:
    return scene(f"chp-{LAYER}", side=32, count=24, epochs=12)


def as_found(made: Scene, order: torch.Tensor, queries: int) -> tuple[torch.Tensor, Meter]:
    meter = Meter(Budget(1000, 600.0))
    return improved(Presented(made.material("T0")), LAYER, [], order, meter, queries, 0), meter


def exchanged(order: torch.Tensor, pair: tuple[int, int]) -> torch.Tensor:
    found = order.clone()
    found[list(pair)] = order[list(reversed(pair))]
    return found


def likeness(made: Scene, order: torch.Tensor) -> float:
    """The share of pixels that get the answer of the right order."""
    (right,) = made.transform.features
    inputs = made.transform.to_input(torch.tensor(made.test.images))
    answers = []
    for plan in (right, FeaturePlan(right.step, order.numpy())):
        with torch.no_grad(), permuted(made.network, [plan]):
            answers.append(made.network(inputs)["out"].argmax(dim=1))
    return (answers[0] == answers[1]).float().mean().item()


def test_two_channels_in_each_others_place_are_mended(made: Scene) -> None:
    right = torch.tensor(made.transform.features[0].order)
    orders = [exchanged(right, pair) for pair in itertools.combinations(range(len(right)), 2)]
    worst = min(orders, key=lambda order: likeness(made, order))
    found, meter = as_found(made, worst, 100)
    assert likeness(made, found) > likeness(made, worst) + 0.04
    assert meter.queries == 100


def test_without_steps_the_order_stays(made: Scene) -> None:
    right = torch.tensor(made.transform.features[0].order)
    found, meter = as_found(made, right, 0)
    assert found.tolist() == right.tolist()
    assert meter.queries == 0


def test_a_right_order_stays_right(made: Scene) -> None:
    right = torch.tensor(made.transform.features[0].order)
    found, _ = as_found(made, right, 50)
    assert likeness(made, found) > 0.9
