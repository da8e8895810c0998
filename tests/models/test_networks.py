from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from pydantic import ValidationError

from seglock.config import ModelParams
from seglock.config.rules import PUBLISHED_WEIGHTS, RESIDUAL
from seglock.errors import ModelError
from seglock.models import build_model
from seglock.models.networks import REGISTRY


def test_params_know_which_weights_are_published() -> None:
    assert dict(PUBLISHED_WEIGHTS) == {
        name: tuple(kind for kind in ("imagenet", "coco") if getattr(network, kind))
        for name, network in REGISTRY.items()
    }


@pytest.mark.parametrize(
    ("name", "norm"), [*((name, "batch") for name in REGISTRY), ("fcn_resnet50", "group")]
)
def test_residual_branches_start_silent(name: str, norm: str) -> None:
    """All parameters but the last scales of the branches are those of the usual start."""
    plain = {"name": name, "norm": norm, "width": 8}
    if name not in RESIDUAL:
        with pytest.raises(ValidationError, match="needs a network with residual branches"):
            ModelParams(**plain, zero_init_residual=True)
        return
    from torchvision.models.resnet import Bottleneck

    torch.manual_seed(0)
    usual = build_model(ModelParams(**plain), 3).state_dict()
    torch.manual_seed(0)
    model = build_model(ModelParams(**plain, zero_init_residual=True), 3).train()
    silent = {n for n, t in model.state_dict().items() if not torch.equal(t, usual[n])}
    blocks = {n: m for n, m in model.named_modules() if isinstance(m, Bottleneck)}
    assert silent == {f"{block}.bn3.weight" for block in blocks}
    assert all(not model.get_parameter(name).any() for name in silent)
    block = next(block for block in blocks.values() if block.downsample is None)
    x = torch.rand(2, block.conv1.in_channels, 4, 4)
    assert torch.equal(block(x), x)


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
