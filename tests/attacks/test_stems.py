"""Folded networks: planted cases that both attacks must break, and what stops them."""

from __future__ import annotations

import copy
from dataclasses import replace
from functools import lru_cache
from typing import Any

import pytest
import torch
from torch import nn

import seglock
from seglock.attacks import ATTACKS, Budget, Candidate, Meter, find
from seglock.attacks.protocol import Facts
from seglock.models.fold import find_stem, redraw_stem
from seglock.transforms import compose, identity
from tests.attacks.scene import CPU, OTHER, Scene, fit, scene, splits

LOCKS = [("np-2",), ("shf-2",), ("np-2", "shf-2"), ("shf-2-f50", "np-2-f25")]
every_lock = pytest.mark.parametrize("steps", LOCKS, ids="+".join)


@lru_cache(maxsize=1)
def plain() -> nn.Module:
    """Trained on plain images, which look smooth to it."""
    made = scene("np-2", side=32, count=24)
    fit(made.network, identity(), splits(32, 24)[0], 12)
    return made.network.eval()


def folded(*steps: str, noise: float = 0.0) -> Scene:
    """The plain network under a key, and all its weights moved a little, as by training on."""
    made = scene(*steps, side=32, count=24)
    network = copy.deepcopy(plain())
    seglock.fold(network, made.transform)
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += noise * parameter.std() * torch.randn_like(parameter) if noise else 0
    return replace(made, network=network)


def best(name: str, made: Scene, queries: int = 60) -> Candidate:
    material = replace(made.material("T0"), device=CPU)
    finding = find(ATTACKS[name], material, Meter(Budget(queries, 600.0)), 0)
    assert finding.chosen is not None
    return finding.candidates[finding.chosen]


def has_plan(made: Scene, found: Candidate) -> bool:
    assert found.plan is not None
    return bool(found.plan.equals(made.transform._plan))


@every_lock
def test_a_public_stem_gives_the_plan_away_also_after_training_on(steps: tuple[str, ...]) -> None:
    made = replace(folded(*steps, noise=0.3), public=plain())
    assert has_plan(made, best("stem-match", made))


@every_lock
def test_mixed_output_channels_keep_their_angles(steps: tuple[str, ...]) -> None:
    made = replace(folded(*steps), public=plain())
    torch.manual_seed(2)
    stem = find_stem(made.network)[1]
    turn = torch.linalg.qr(torch.randn(16, 16)).Q
    network = made.network
    with torch.no_grad():
        stem.weight.copy_(torch.einsum("oc,c...->o...", turn, stem.weight))
    # What comes behind undoes it, so that the network is still at home under its key.
    network.backbone[0].insert(1, nn.Conv2d(16, 16, 1, bias=False))
    with torch.no_grad():
        network.backbone[0][1].weight.copy_(turn.T[..., None, None])
    assert has_plan(made, best("stem-match", made))


def test_smoothness_alone_gives_a_mask_away() -> None:
    made = scene("np-2", side=32, count=24)
    stem = find_stem(made.network)[1]
    with torch.no_grad():  # as of photographs: what a filter has of neighbours is alike
        colours = stem.weight[:, :, :1, :1] + stem.weight[:, 1:2, :1, :1]
        stem.weight.copy_(colours + 0.1 * stem.weight)
    stem.weight.requires_grad_(False)
    fit(made.network, identity(), splits(32, 24)[0], 12)
    seglock.fold(made.network.eval(), made.transform)
    assert has_plan(made, best("stem-match", made))


@every_lock
def test_another_customers_file_and_key_give_the_plan_away(steps: tuple[str, ...]) -> None:
    made, theirs = folded(*steps, noise=0.1), compose(list(steps), OTHER)
    network = copy.deepcopy(plain())
    seglock.fold(network, theirs)
    together = replace(made, colluder=(network, theirs), facts=replace(made.facts, colluders=True))
    assert has_plan(together, best("collusion", together))


def test_a_stem_that_is_drawn_anew_tells_neither_anything() -> None:
    made = replace(folded("np-2", "shf-2"), public=plain())
    network = copy.deepcopy(plain())
    redraw_stem(network, 2)
    assert not has_plan(made, best("stem-match", replace(made, network=network)))


@pytest.mark.parametrize(
    ("steps", "changes", "says"),
    [
        (("ffx-2",), {}, "ffx cannot be folded into a convolution"),
        (("shf-4",), {}, "does not step by blocks of 4"),
        (("shf-32",), {"stem": 32}, "out of its reach of 768"),
    ],
)
def test_locks_that_cannot_have_been_folded(
    steps: tuple[str, ...], changes: dict[str, Any], says: str
) -> None:
    facts: Facts = replace(scene(*steps, side=32).facts, **changes)
    assert says in str(ATTACKS["stem-match"].why_not(facts))
    assert "it was not folded" in str(ATTACKS["collusion"].why_not(facts))
