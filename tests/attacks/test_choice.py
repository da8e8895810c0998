"""The learning rate and the length of a training are chosen on held-out labels, within a budget."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from seglock.attacks import ATTACKS, Budget, Meter
from seglock.attacks.choice import FACTORS, LEAST_STEPS, best_of
from seglock.attacks.tuning import fit, plainly, untouched, without_theft
from seglock.transforms import identity
from tests.attacks.scene import scene

FAR_TOO_SMALL = 1e-4


def meter(queries: int) -> Meter:
    """One that no time passes by."""
    return Meter(Budget(queries, 600.0, (0.5,)), clock=lambda: 0.0)


def late(queries: int, ticks_a_second: float) -> Meter:
    """One by which time passes as it is looked at."""
    ticks = iter(range(10**9))
    return Meter(Budget(queries, 1.0, (0.5,)), clock=lambda: next(ticks) / ticks_a_second)


def given(count: int = 10) -> tuple[nn.Module, Tensor, Tensor]:
    """A fresh network, and labelled images of which two are held out."""
    made = scene("np-2", count=count)
    images, masks = made.attacker.images, torch.tensor(made.attacker.masks)
    torch.manual_seed(0)
    return without_theft(made.material("T1")), identity().to_input(images), masks


def test_a_rate_that_is_too_small_is_not_the_one() -> None:
    network, images, masks = given()
    alone = fit(
        network, network.parameters(), images, masks, lr=FAR_TOO_SMALL, seed=0, meter=meter(192)
    )
    network, images, masks = given()
    chosen = best_of(
        network, network.parameters(), images, masks, lr=FAR_TOO_SMALL, seed=0, meter=meter(192)
    )
    assert chosen.best.lr == pytest.approx(max(FACTORS) * FAR_TOO_SMALL)
    assert chosen.best.loss < alone.loss
    assert chosen.trainings == 4 + 2 + 1
    assert untouched(network, images, masks).loss == pytest.approx(chosen.best.loss)
    assert not network.training


def test_what_trains_to_no_good_is_left_as_it_was() -> None:
    network, images, masks = given()
    before = untouched(network, images, masks)
    chosen = best_of(network, network.parameters(), images, masks, lr=1e4, seed=0, meter=meter(9))
    assert (chosen.best.steps, chosen.trainings) == (0, 1)
    assert chosen.about()["cross_entropy"] == before.loss
    assert all(bool((before.state[name] == v).all()) for name, v in network.state_dict().items())


@pytest.mark.parametrize("queries", [1, 3, 83])
def test_the_whole_budget_is_spent_and_no_more(queries: int) -> None:
    network, images, masks = given()
    own = meter(queries)
    chosen = best_of(network, network.parameters(), images, masks, lr=0.01, seed=0, meter=own)
    assert own.queries == queries
    assert chosen.best.steps <= queries
    assert chosen.trainings == (3 if queries == 83 else 1)


@pytest.mark.parametrize(("count", "held"), [(4, 0), (5, 1), (11, 3)])
def test_images_that_judge_are_not_trained_on(count: int, held: int) -> None:
    network, images, masks = given(12)
    images, masks = images[:count], masks[:count]
    seen: list[Tensor] = []

    def looks(network: nn.Module, some: Tensor, target: Tensor) -> None:
        seen.extend(some)
        plainly(network, some, target)

    fit(
        network, network.parameters(), images, masks, lr=0.01, seed=0, meter=meter(6),
        gradients=looks,
    )  # fmt: skip
    left_out = [
        image for image in images
        if not any(torch.equal(one, image) or torch.equal(one.flip(-1), image) for one in seen)
    ]  # fmt: skip
    assert len(left_out) == held
    assert all(torch.equal(a, b) for a, b in zip(left_out, images[::5], strict=False))


def test_parts_are_counted_by_the_whole() -> None:
    own = meter(20)
    half = own.part(2)
    half.part(5).spend(2)
    assert (half.budget.queries, half.queries, own.queries) == (10, 2, 2)


def test_time_that_leaves_no_room_for_a_choice_goes_to_one_rate() -> None:
    network, images, masks = given()
    own = late(10**6, ticks_a_second=120.0)
    chosen = best_of(network, network.parameters(), images, masks, lr=0.01, seed=0, meter=own)
    assert chosen.trainings == 2
    assert own.queries > 2 * LEAST_STEPS
    own = late(10**6, ticks_a_second=1.0)
    best_of(network, network.parameters(), images, masks, lr=0.01, seed=0, meter=own)
    assert own.queries == 1


def test_theft_and_scratch_have_equal_parts_of_the_budget() -> None:
    made = scene("np-2", count=10)
    own = Meter(Budget(160, 600.0, (1.0,)), clock=lambda: 0.0)
    finding = ATTACKS["finetune"].run(made.material("T1"), own, 0)
    assert own.queries == 160
    about = [candidate.about for candidate in finding.candidates]
    assert [line["trainings"] for line in about] == [3, 3]
    assert {line["from"]: line["labelled"] for line in about} == {"theft": 10, "scratch": 10}
