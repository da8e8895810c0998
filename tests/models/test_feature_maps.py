"""Which layers a key may act on, of every network."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from seglock.config import ModelParams
from seglock.keys import demonstration_key
from seglock.models import build_model, feature_maps, permuted
from seglock.transforms import compose


@pytest.mark.parametrize(
    "name", ["fcn_small", "fcn_resnet50", "lraspp_mobilenet_v3_large", "timm/tf_efficientnet_lite0"]
)
def test_each_layer_can_be_permuted_and_changes_the_answer(name: str) -> None:
    params = ModelParams(name=name, width=24)
    layers = feature_maps(params)
    torch.manual_seed(0)
    network = build_model(params, 3).train()  # untrained statistics would let no signal through
    images = torch.randn(2, 3, 32, 32)

    def answer(*steps: str) -> Tensor:
        torch.manual_seed(1)
        right = compose(steps, demonstration_key(), channels=layers)
        with torch.no_grad(), permuted(network, right.features):
            return network(images)["out"]

    plain = answer()
    for layer in list(layers)[::4]:
        assert not torch.equal(answer(f"chp-{layer}"), plain)
    assert torch.equal(answer(), plain)


def test_the_names_are_those_that_users_know() -> None:
    assert feature_maps(ModelParams(name="fcn_resnet50")) == {
        "conv1": 64, "bn1": 64, "relu": 64, "maxpool": 64,
        "layer1": 256, "layer2": 512, "layer3": 1024, "layer4": 2048,
    }  # fmt: skip
    # What runs block by block has its blocks; the first has 16 channels, which are too few.
    assert feature_maps(ModelParams(name="timm/tf_efficientnet_lite0")) == {
        "conv_stem": 32, "bn1": 32, "blocks.1": 24, "blocks.2": 40, "blocks.3": 80, "blocks.4": 112,
        "blocks.5": 192, "blocks.6": 320,
    }  # fmt: skip


def test_maps_with_few_channels_are_left_out() -> None:
    assert feature_maps(ModelParams(name="fcn_small", width=20)) == {}
    assert np.prod(np.arange(1.0, 22)) > 2**64  # as many plans has the smallest that is left
