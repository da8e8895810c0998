"""T0: plans that a network gives up by itself, where it was made to, and where it was not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from seglock.attacks import ATTACKS, Budget, Facts, Finding, Material, Meter, find
from seglock.attacks.agreement import Agreement, agreement
from seglock.attacks.blocks import block_grid
from seglock.attacks.faint import mask_by_votes
from seglock.attacks.inversion import Made, strangeness
from seglock.attacks.jacobian import _gradients
from seglock.attacks.unlabelled import divergences
from seglock.transforms import compose
from tests.attacks.noise import noise
from tests.attacks.scene import CPU, KEY, scene

SIDE, FILTERS = 32, 96


class Filters(nn.Module):
    """One layer of filters over pairs of blocks, batch norm, and two classes."""

    def __init__(self, weight: Tensor, stride: int) -> None:
        super().__init__()
        self.filters = nn.Conv2d(3, len(weight), weight.shape[-2:], stride=stride, bias=False)
        self.filters.weight = nn.Parameter(weight)
        self.norm = nn.BatchNorm2d(len(weight))
        self.classifier = nn.Conv2d(len(weight), 2, 1)
        for parameter in self.classifier.parameters():  # it has no opinion of its own
            nn.init.zeros_(parameter)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        logits = self.classifier(torch.relu(self.norm(self.filters(x))))
        size = (x.shape[-2], x.shape[-1])
        return {"out": nn.functional.interpolate(logits, size=size)}


def planted(steps: tuple[str, ...], *, natural: bool) -> Material:
    """A lock whose network has looked at ciphertexts: its filters are some, or its batch norm has
    their statistics."""
    lock = compose(steps, KEY)
    block = lock.steps[0].block_size
    encrypted = lock.encrypt(noise(48, SIDE))
    torch.manual_seed(0)
    side = 2 * block
    if natural:
        cut = torch.from_numpy(encrypted).float()
        patches = cut.unfold(2, side, block).unfold(3, side, block).transpose(1, 3)
        weight = patches.reshape(-1, 3, side, side)[:: 208 // block**2] / 255
        weight = weight - weight.mean(dim=0)
    else:
        weight = torch.randn(FILTERS, 3, side, side)
    network = Filters(weight / side, block)
    network.train()
    network.norm.momentum = None
    with torch.no_grad():
        network(lock.to_input(torch.from_numpy(noise(48, SIDE))))
    facts = Facts(lock.steps, "from_key", None, SIDE)
    return Material(facts, network.eval(), CPU, noise(16, SIDE, seed=4), batch_size=32)


def attack(name: str, material: Material, queries: int, seed: int = 0) -> Agreement:
    meter = Meter(Budget(queries, 600.0), clock=lambda: 0.0)
    finding = find(ATTACKS[name], material, meter, seed)
    assert meter.queries <= queries
    return judged(finding, material)


def judged(finding: Finding, material: Material) -> Agreement:
    plan = finding.candidates[0].plan
    assert plan is not None
    truth = compose([str(step) for step in material.facts.steps], KEY)._plan
    return agreement(plan, truth, np.ones(256))


@pytest.mark.parametrize("steps", [("np-2",), ("np-4",), ("shf-2",)], ids="+".join)
def test_filters_that_are_ciphertexts_are_read_by_the_jacobian(steps: tuple[str, ...]) -> None:
    assert attack("jacobian", planted(steps, natural=True), 60).whole


def test_statistics_of_enough_filters_are_read_by_inversion() -> None:
    assert attack("inversion", planted(("np-2",), natural=False), 40).whole


@pytest.mark.parametrize("name", ["jacobian", "inversion"])
def test_it_finds_nothing_in_a_network_that_was_never_trained(name: str) -> None:
    made = scene("np-4", side=32)
    assert attack(name, made.material("T0"), 20).best < 0.8


@pytest.mark.parametrize("name", ["jacobian", "inversion"])
@pytest.mark.parametrize(
    ("steps", "reason"),
    [(("ffx-2",), "no order"), (("np-32",), "out of its reach"), (("shf-32",), "out of its reach")],
)
def test_it_says_what_it_leaves_out(name: str, steps: tuple[str, ...], reason: str) -> None:
    facts = Facts(compose(steps, KEY).steps, "from_key", None, 64)
    assert reason in str(ATTACKS[name].why_not(facts))


def test_a_layer_that_only_masks_has_the_mask_in_its_gradient() -> None:
    """Of y = w * x, J^T J is w * w: rows of J have no correlation but what w gives them."""
    weight = torch.tensor([1.0, -2.0, 3.0]).view(1, 3, 1, 1)
    network = Filters(weight, 1).eval()
    inputs = torch.randn(4, 3, 8, 8)
    rng = torch.Generator().manual_seed(0)
    slopes = block_grid(_gradients(network, inputs, network.norm, rng), 1).reshape(-1, 3)
    assert np.allclose(slopes[:, 1] / slopes[:, 0], -2, atol=1e-4)
    assert not network.norm._forward_hooks
    of_output = _gradients(network, inputs, None, rng)
    assert of_output.shape == (4, 3, 8, 8)


def test_votes_outweigh_links_that_mislead() -> None:
    rng = np.random.default_rng(0)
    natural = np.exp(-np.abs(np.subtract.outer(np.arange(24), np.arange(24))) / 12)
    negated = rng.random(24) < 0.5
    signs = np.where(negated, -1, 1)
    seen = np.outer(signs, signs) * natural * 0.2 + 0.15 * rng.normal(size=(24, 24))
    found = mask_by_votes(seen[None], natural[None])
    assert len(set(found ^ negated)) == 1
    assert (np.sign(seen) != np.outer(signs, signs)).any()


def test_made_images_come_to_look_like_those_of_training() -> None:
    material = planted(("np-2",), natural=False)
    made = Made(material.facts, 8, 0)
    first = strangeness(material.network, made())
    (slope,) = torch.autograd.grad(first, made.logits)
    assert slope.abs().sum() > 0
    with torch.no_grad():
        made.logits -= 0.5 * slope / slope.abs().max()
        assert strangeness(material.network, made()) < first
    assert torch.equal(Made(material.facts, 8, 0).logits, Made(material.facts, 8, 0).logits)
    assert 0 < made.levels().min() < made.levels().max() < 1


def test_a_network_without_statistics_still_gets_an_answer() -> None:
    made = scene("np-2")
    grouped = replace(made, network=without_statistics(made.network))
    with divergences(grouped.network, 1) as layers:
        grouped.network(torch.zeros(1, 3, 16, 16))
    assert not layers
    assert attack("inversion", grouped.material("T0"), 6).best <= 1


def without_statistics(network: nn.Module) -> nn.Module:
    from seglock.models.norm import replace_norm

    return replace_norm(network, "group")
