"""T1: planted weak cases that attacks with labels must break, and what they choose by."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest
import torch
from torch import nn

from seglock.attacks import ATTACKS, Budget, Meter, run_attack
from seglock.attacks.block_adapter import Adapted, BlockMap, SoftTable, guessed
from seglock.attacks.blocks import block_grid, grid_images
from seglock.attacks.guesses import guess
from seglock.attacks.labels import labelled
from seglock.attacks.tuning import fit, without_theft
from seglock.transforms import Transform, identity
from tests.attacks.noise import noise
from tests.attacks.scene import CPU, Scene, scene, splits
from tests.attacks.scene import fit as train_on


@lru_cache(maxsize=2)
def weak(steps: str) -> Scene:
    return scene(steps, side=32, count=24, epochs=12)


def attack(name: str, steps: str, queries: int) -> dict:
    made = weak(steps)
    one, judge = ATTACKS[name], weak(steps).judge()
    budget = Budget(queries, 600.0, (0.5,))
    verdict = run_attack(
        one, made.material("T1"), judge, budget, lock="it", correct=judge.correct()
    )
    return verdict.published


@pytest.mark.parametrize(
    ("name", "queries"), [("random-search", 24), ("exhaustive", 20), ("hill-climb", 40)]
)
def test_three_masks_are_soon_tried(name: str, queries: int) -> None:
    result = attack(name, "np-1", queries)
    assert result["plan_found"]
    assert result["regained"] == pytest.approx(1)


def test_a_search_climbs_where_chance_does_not_reach() -> None:
    result = attack("hill-climb", "np-2", 250)
    assert result["plan_found"]
    course = [score for _, score in result["course"]]
    assert course == sorted(course, reverse=True)


def test_all_plans_are_counted() -> None:
    result = attack("exhaustive", "np-1", 100)
    assert (result["plans"], result["share"]) == (3, 1.0)
    assert ATTACKS["exhaustive"].why_not(scene("np-4").facts)


@pytest.mark.parametrize("name", ["finetune", "stem-finetune", "repair", "block-adapter"])
def test_the_theft_saves_training(name: str) -> None:
    result = attack(name, "np-1", 32)
    assert result["miou"] > result["scratch_miou"] + 0.1
    assert [line["from"] for line in result["curve"]] == ["theft", "scratch"]
    assert result["labelled"] == 12


def test_shares_that_give_the_same_images_are_trained_once() -> None:
    made = scene("np-2")
    budget = Budget(8, 600.0, (0.5, 1.0, 1.0))
    finding = ATTACKS["finetune"].run(made.material("T1"), Meter(budget), 0)
    counts = [candidate.about["labelled"] for candidate in finding.candidates]
    assert counts == [4, 4, 8, 8]
    assert (finding.chosen, finding.beside) == (2, 3)


def test_a_share_is_of_the_tasks_labelled_images() -> None:
    material = scene("np-2", count=8).material("T1")
    assert len(labelled(material, 0.5)[0]) == 4
    assert len(labelled(material, 0.01)[0]) == 2
    assert len(labelled(material, 1.0)[0]) == 8


def test_blocks_of_tensors_are_those_of_arrays() -> None:
    images = noise(2, 16)
    rows = block_grid(torch.from_numpy(images), 4)
    assert np.array_equal(rows.numpy(), block_grid(images, 4))
    assert torch.equal(grid_images(rows, 4), torch.from_numpy(images))


def test_an_adapter_begins_as_plain_images_and_leaves_the_network_alone() -> None:
    made = scene("np-2")
    inputs = identity().to_input(made.attacker.images)
    assert torch.allclose(BlockMap(made.facts)(inputs), inputs)
    network = Adapted(BlockMap(made.facts), made.network)
    assert not network.train().network.training
    table = SoftTable(scene("ffx-2").facts)
    levels = torch.arange(256).view(1, 1, 16, 16).repeat(1, 3, 1, 1).to(torch.uint8)
    with torch.no_grad():
        table.mask += 100  # all from the table, which holds x / 999 at first
        found = table(identity().to_input(levels))
        std = torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
        mean = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)
        assert torch.allclose(found * std + mean, levels / 999, atol=1e-5)


@pytest.mark.parametrize("steps", [("np-4",), ("shf-4",), ("np-4", "shf-4")], ids="+".join)
def test_a_map_may_begin_as_a_guessed_plan(steps: tuple[str, ...]) -> None:
    made = scene(*steps)
    start = guess(made.facts, 0, 0)
    found = BlockMap(made.facts, start)(identity().to_input(made.attacker.images))
    expected = Transform(made.facts.steps, start).to_input(made.attacker.images)
    assert torch.allclose(found, expected, atol=1e-4)


def test_an_adapter_begins_where_the_network_is_least_wrong() -> None:
    made = weak("np-2")
    found = guessed(made.material("T1"), Meter(Budget(200, 600.0, (0.5,))), 0)
    assert found is not None
    plain = scene("np-2", side=32, count=24)
    used_to_plain = replace(made, network=fitted_to_plain(plain))
    assert guessed(used_to_plain.material("T1"), Meter(Budget(20, 600.0, (0.5,))), 0) is None


def fitted_to_plain(made: Scene) -> nn.Module:
    train_on(made.network, identity(), splits(32, 24)[0], 6)
    return made.network.eval()


def test_few_steps_read_ffx() -> None:
    """The mask and the table move fast enough for twenty steps, on a network worth stealing."""
    made = scene("ffx-4", side=32, count=64, epochs=16)
    judge = made.judge()
    result = run_attack(
        ATTACKS["block-adapter"], made.material("T1"), judge, Budget(40, 600.0, (0.5,)),
        lock="it", correct=judge.correct(),
    ).published  # fmt: skip
    assert result["miou"] > result["scratch_miou"] + 0.02
    assert result["regained"] > 0.85


def test_training_keeps_the_best_state_and_its_budget() -> None:
    made = scene("np-2")
    inputs, masks = identity().to_input(made.attacker.images), torch.tensor(made.attacker.masks)
    network, meter = without_theft(made.material("T1")), Meter(Budget(12, 600.0), clock=lambda: 0.0)
    found = fit(network, network.parameters(), inputs, masks, lr=0.01, seed=0, meter=meter.part(3))
    assert meter.queries == 4
    assert np.isfinite(found.loss)
    assert 1 <= found.steps <= 4
    assert not network.training
    own = meter.part(2)
    assert (own.budget.queries, own.share) == (4, 0)
    assert Meter(Budget(1, 1.0), clock=iter(range(99)).__next__).part(1).share == 1
    assert CPU.type == "cpu"
