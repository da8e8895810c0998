from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
import torch
from torch import nn

from seglock.attacks import ATTACKS, Budget, Meter, run_attack
from seglock.attacks.blocks import block_grid
from seglock.attacks.guesses import guess, inputs_of
from seglock.attacks.labels import cross_entropy
from seglock.attacks.unlabelled import disagreement, divergences, entropy
from seglock.transforms import Transform
from tests.attacks.scene import OTHER, scene

LOCKS = [("np-4",), ("shf-4",), ("ffx-4",), ("np-4", "shf-4"), ("np-4", "shf-4", "ffx-4-f30")]


@pytest.mark.parametrize("steps", LOCKS, ids="+".join)
def test_a_guess_is_a_plan_of_the_lock(steps: tuple[str, ...]) -> None:
    made = scene(*steps)
    one = guess(made.facts, 0, 1)
    assert one.equals(guess(made.facts, 0, 1))
    assert not one.equals(guess(made.facts, 0, 2))
    assert not one.equals(guess(made.facts, 1, 1))


@pytest.mark.parametrize("steps", LOCKS, ids="+".join)
def test_trials_see_what_the_transform_gives(steps: tuple[str, ...]) -> None:
    made = scene(*steps)
    guesses = [guess(made.facts, 0, number) for number in range(3)]
    inputs = inputs_of(guesses, torch.tensor(made.attacker.images), made.facts)
    plans = [Transform(made.facts.steps, one) for one in guesses]
    expected = torch.cat([plan.to_input(made.attacker.images) for plan in plans])
    assert torch.equal(inputs, expected)


def test_signals_are_low_for_a_network_that_is_at_home() -> None:
    sure = torch.tensor([[[[9.0]], [[0.0]]], [[[0.5]], [[0.5]]]])
    found = entropy(sure, 2)
    assert found[0] < 0.01
    assert found[1] == pytest.approx(np.log(2))
    assert disagreement(sure, sure, 2).tolist() == pytest.approx([0, 0])
    masks = torch.tensor([[[0]]], dtype=torch.uint8)
    assert cross_entropy(sure, masks, 2).tolist() == pytest.approx([0.0001, 0.693], abs=1e-3)
    assert cross_entropy(sure, torch.full((1, 1, 1), 255), 2).tolist() == [0, 0]


def test_statistics_are_those_of_each_guess() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.BatchNorm2d(3)).eval()
    usual, far = torch.randn(4, 3, 8, 8), torch.randn(4, 3, 8, 8) * 2 + 3
    with divergences(network, 2) as layers:
        network(torch.cat([usual, far]))
    near, away = layers[0].tolist()
    assert near < 0.05
    assert away > 1
    assert not network[0]._forward_pre_hooks
    with divergences(grouped := nn.Sequential(nn.GroupNorm(1, 3)), 1) as layers:
        grouped(usual)
    assert not layers


@pytest.mark.parametrize(("steps", "queries", "regained"), [("np-1", 16, 0.99), ("np-2", 300, 0.4)])
def test_a_small_key_space_falls_without_a_label(steps: str, queries: int, regained: float) -> None:
    """Not always as a whole: the synthetic set's channels are alike, and so are some masks."""
    made = scene(steps, side=32, count=24, epochs=12, key=OTHER)
    attack, judge = ATTACKS["unsupervised"], made.judge()
    result = run_attack(
        attack,
        made.material("T0"),
        judge,
        Budget(queries, 300.0),
        lock="it",
        correct=judge.correct(),
    ).published
    assert result["regained"] > regained
    gains = [score for _, score in result["course"]]
    assert gains == sorted(gains, reverse=True)


def test_new_statistics_come_from_photos() -> None:
    made = scene("np-2", side=32, count=24, epochs=1)
    finding = ATTACKS["bn-reestimate"].run(made.material("T0"), Meter(Budget(1, 60.0)), 0)
    network = finding.candidates[0].network
    assert network is not None
    moved = [
        not torch.equal(mine, own)
        for (name, mine), own in zip(
            network.named_buffers(), dict(made.network.named_buffers()).values(), strict=True
        )
        if "running" in name
    ]
    assert all(moved)
    for mine, own in zip(network.parameters(), made.network.parameters(), strict=True):
        assert torch.equal(mine, own)


def test_the_network_tells_channels_that_are_alike() -> None:
    """The synthetic set's channels are alike: statistics leave their order open."""
    from seglock.attacks import reading

    made = scene("shf-2", side=32, count=24, epochs=12)
    truth = made.transform._plan.permutation.astype(np.int64)
    own = made.transform._plan
    turned = replace(own, permutation=truth // 3 * 3 + (truth + 1) % 3)
    material = made.material("T2")
    grid, zero = block_grid(material.ciphertexts, 2), np.zeros((3, 12, 12))
    order = reading._settle_channels(material, grid, zero, zero, turned)
    judge = made.judge()
    plan = replace(own, permutation=order)
    assert judge.answers(plan).miou > 0.9 * judge.correct()


def test_brightness_tells_channels_that_the_network_does_not() -> None:
    """A network that never learnt anything is no help; that photos are redder than blue is."""
    from seglock.attacks import reading

    made = scene("shf-2", side=32, count=24)
    tint = np.array([30, 0, -30])[:, None, None]
    images = (made.attacker.images // 2 + 64 + tint).astype(np.uint8)
    material = replace(made, attacker=replace(made.attacker, images=images)).material("T2")
    truth = made.transform._plan.permutation.astype(np.int64)
    for turn in permutations(range(3)):
        order = truth // 3 * 3 + np.array(turn)[truth % 3]
        turned = replace(made.transform._plan, permutation=order)
        grid, zero = block_grid(material.ciphertexts, 2), np.zeros((3, 12, 12))
        found = reading._settle_channels(material, grid, zero, zero, turned)
        assert (found == truth).all()
