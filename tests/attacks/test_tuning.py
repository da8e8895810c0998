"""What a thief has without the theft: published weights where the owner began with some."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch
from torch import nn

from seglock.attacks import ATTACKS
from seglock.attacks.budget import Budget, Meter
from seglock.attacks.tuning import without_theft
from tests.attacks.scene import scene


def test_without_published_weights_nothing_of_the_theft_is_left() -> None:
    material = scene("np-2").material("T1")
    twin = without_theft(material)
    stolen = dict(material.network.named_parameters())
    weights = [name for name, tensor in twin.named_parameters() if tensor.dim() > 1]
    assert weights
    assert not any(torch.equal(twin.get_parameter(name), stolen[name]) for name in weights)


@pytest.mark.parametrize("name", ["finetune", "distil"])
def test_an_attack_stands_beside_training_from_the_published_weights(name: str) -> None:
    # Its scales are 0, an untrained network has 1: a few steps bring them nowhere near that.
    attack = ATTACKS[name]
    material = scene("np-2").material(attack.tier)
    public = copy.deepcopy(material.network)
    for norm in public.modules():
        if isinstance(norm, nn.BatchNorm2d):
            nn.init.zeros_(norm.weight)
    material = replace(material, public=public)
    found = attack.run(material, Meter(Budget(8, 600.0, (0.5,))), 0)
    beside = found.candidates[found.beside or 0].network
    assert beside is not None
    layer = next(one for one in beside.modules() if isinstance(one, nn.BatchNorm2d))
    assert float(layer.weight.detach().abs().max()) < 0.5
    assert public.state_dict().keys() == beside.state_dict().keys()
