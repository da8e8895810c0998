"""Feature plans: from keys, in the network for as long as it runs under them, and nowhere else."""

from __future__ import annotations

import copy
import io
import pickle
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from seglock.errors import ConfigError, ModelError, SeglockError, TransformError
from seglock.keys import SecretKey, demonstration_key
from seglock.models import layers_of, permuted
from seglock.steps import FeatureStep
from seglock.transforms import FeaturePlan, compose, incorrect_transforms

KEY = demonstration_key()
CHANNELS = {"block0": 24, "layer2": 32}
keys = st.integers(0, 2**32).map(KEY.wrong)


class Network(nn.Module):
    """Two layers that change nothing, one of them known by its number."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.Sequential()
        self.backbone.add_module("0", nn.Identity())
        self.backbone.add_module("layer2", nn.Identity())

    def forward(self, x: Tensor) -> Tensor:
        return self.backbone(x)


def features(steps: list[str], key: SecretKey = KEY) -> tuple[FeaturePlan, ...]:
    return compose(steps, key, channels=CHANNELS).features


@given(keys)
def test_a_plan_is_a_permutation_that_the_key_decides(key: SecretKey) -> None:
    (plan,) = features(["chp-layer2"], key)
    assert sorted(plan.order) == list(range(32))
    assert plan.equals(features(["chp-layer2"], key)[0])
    assert not plan.equals(features(["chp-layer2"], key.wrong(0))[0])


@given(keys)
def test_what_the_network_computes_is_the_permuted_map(key: SecretKey) -> None:
    (plan,) = features(["chp-layer2"], key)
    network, images = Network(), torch.arange(64.0).view(2, 32, 1, 1)
    with permuted(network, [plan]):
        assert torch.equal(network(images), images[:, plan.order.tolist()])
    assert torch.equal(network(images), images)


def test_two_layers_have_nothing_in_common_nor_has_the_step_on_images() -> None:
    one, other = features(["chp-layer2"])[0], features(["np-8", "chp-layer2"])[0]
    assert not one.equals(other)
    alone, beside = compose(["np-8"], KEY), compose(["np-8", "chp-layer2"], KEY, channels=CHANNELS)
    assert not alone._plan.equals(beside._plan)
    first, second = compose(
        ["chp-layer2", "chp-layer3"], KEY, channels={"layer2": 32, "layer3": 32}
    ).features
    assert not np.array_equal(first.order, second.order)


def test_a_gradient_goes_back_through_it() -> None:
    (plan,) = features(["chp-block0"])
    images = torch.randn(1, 24, 2, 2, requires_grad=True)
    with permuted(network := Network(), [plan]):
        network(images)[:, 0].sum().backward()
    assert images.grad is not None
    assert images.grad[0, int(plan.order[0])].eq(1).all()
    assert images.grad.sum() == 4


def test_transforms_tell_them_apart_and_count_them() -> None:
    right = compose(["chp-layer2"], KEY, channels=CHANNELS)
    assert right.key_space_bits == pytest.approx(117.66, abs=0.01)
    both = compose(["np-8", "chp-layer2"], KEY, channels=CHANNELS)
    alone = compose(["np-8"], KEY).key_space_bits
    assert both.key_space_bits == alone > right.key_space_bits  # one falls without the other
    assert str(both) == "Transform([np-8, chp-layer2])"
    assert not right.same_plan(both)
    others = list(incorrect_transforms(["chp-layer2"], KEY, 5, channels=CHANNELS))
    assert not any(other.same_plan(right) for other in others)
    assert len({other.features[0].order.tobytes() for other in others}) == 5
    images = np.zeros((1, 3, 8, 8), np.uint8)
    assert (right.encrypt(images) == images).all()


def test_neither_plan_nor_network_under_it_is_written_or_copied() -> None:
    (plan,) = features(["chp-layer2"])
    network = Network()
    refused: list[Any] = [plan]
    with permuted(network, [plan]):
        assert not network.state_dict()
        assert str(plan.order[0]) not in repr(network) or repr(network) == repr(Network())
        for thing in [*refused, network]:
            with pytest.raises(SeglockError, match="must not be pickled or copied"):
                pickle.dumps(thing)
            with pytest.raises(SeglockError, match="must not be pickled or copied"):
                copy.deepcopy(thing)
        with pytest.raises(SeglockError, match="must not be pickled or copied"):
            torch.save(network, io.BytesIO())
    assert repr(plan) == "FeaturePlan(chp-layer2)"
    assert copy.deepcopy(network) is not network


def test_an_error_within_leaves_nothing_behind() -> None:
    network = Network()
    with (
        pytest.raises(ModelError, match="as many channels as its plan, got 5 and 32"),
        permuted(network, features(["chp-layer2"])),
    ):
        network(torch.zeros(1, 5, 1, 1))
    assert network(torch.zeros(1, 5, 1, 1)).shape == (1, 5, 1, 1)


def test_an_unknown_layer_is_told_with_those_that_there_are() -> None:
    with pytest.raises(ConfigError, match="got chp-layer9; use one of chp-block0, chp-layer2"):
        features(["chp-layer9"])
    with pytest.raises(ConfigError, match="this network has none"):
        compose(["chp-layer2"], KEY, channels={})
    with pytest.raises(ConfigError, match=r"acts inside a network, .* got chp-layer2; take it out"):
        compose(["np-4", "chp-layer2"], KEY)


def test_a_layer_is_permuted_once() -> None:
    with pytest.raises(TransformError, match=r"once, got .*; write \[np-4, chp-layer2\]"):
        features(["np-4", "chp-layer2", "chp-layer2"])


def test_layers_without_a_name_are_blocks() -> None:
    assert list(layers_of(Network())) == ["block0", "layer2"]


def test_a_plan_keeps_its_own_order() -> None:
    order = np.array([1, 0])
    plan = FeaturePlan(FeatureStep("layer2"), order)
    order[:] = 0
    assert plan.order.tolist() == [1, 0]
    with pytest.raises(ValueError, match="read-only"):
        plan.order[0] = 5
