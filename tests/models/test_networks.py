from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from seglock.config import ModelParams
from seglock.config.rules import PUBLISHED_WEIGHTS
from seglock.errors import ModelError
from seglock.models import build_model
from seglock.models.networks import REGISTRY, find_network


def test_an_unknown_network_lists_the_nearest() -> None:
    with pytest.raises(ModelError, match="did you mean 'fcn_resnet50'"):
        find_network("fcn_resnet5")


def test_params_know_which_weights_are_published() -> None:
    assert dict(PUBLISHED_WEIGHTS) == {
        name: tuple(kind for kind in ("imagenet", "coco") if getattr(network, kind))
        for name, network in REGISTRY.items()
    }


def test_a_network_has_classes() -> None:
    with pytest.raises(ModelError, match="at least 1, got 0"):
        build_model(ModelParams(), 0)


def test_the_small_network_needs_no_torchvision() -> None:
    script = (
        "import sys; from seglock.config import ModelParams;"
        "from seglock.models import build_model;"
        "build_model(ModelParams(), 3); print('torchvision' in sys.modules)"
    )
    answer = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    assert answer.stdout.strip() == b"False"


def test_the_small_network_sees_far_at_stride_eight() -> None:
    model = build_model(ModelParams(width=8), 3).eval()
    x = torch.randn(1, 3, 128, 128, requires_grad=True)
    features = model.get_submodule("backbone")(x)
    assert features.shape[-2:] == (16, 16)
    features[0, :, 8, 8].sum().backward()
    assert x.grad is not None
    seen = x.grad.abs().sum(dim=(0, 1)) > 0
    assert seen.any(dim=0).sum() > 64
