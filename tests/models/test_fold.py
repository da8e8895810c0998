"""A folded network gives for encrypted images what the plain one gives for plain ones."""

from __future__ import annotations

import copy
import traceback
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from hypothesis import given
from hypothesis import strategies as st
from timm.layers import Conv2dSame, StdConv2d
from torch import Tensor, nn

import seglock
from seglock.config import ModelParams
from seglock.errors import ModelError, TransformError
from seglock.keys import SecretKey
from seglock.models import build_model, fold_stem, load_model, save_weights
from seglock.models.fold import FoldedConv2d, columns, find_stem
from seglock.transforms import Transform, compose, identity

KEY = SecretKey.from_bytes(bytes(range(32)))
NETWORKS = (
    "fcn_small",
    "fcn_resnet50",
    "lraspp_mobilenet_v3_large",
    "timm/tf_efficientnet_lite0",
    "timm/convnext_atto",
)
CLASSES = 4


STEMS = {
    "3x3": lambda: nn.Conv2d(3, 8, 3, stride=2, padding=1, bias=False),
    "7x7": lambda: nn.Conv2d(3, 8, 7, stride=2, padding=3),
    "same": lambda: Conv2dSame(3, 8, 3, stride=2, bias=False),
    "no padding": lambda: nn.Conv2d(3, 8, 3, stride=2),
    "dilated": lambda: nn.Conv2d(3, 8, 3, stride=2, padding=2, dilation=2),
    "smaller than a block": lambda: nn.Conv2d(3, 8, 1, stride=2),
    "patch of 4": lambda: nn.Conv2d(3, 8, 4, stride=4),
    "patch of 4, overlapping": lambda: nn.Conv2d(3, 8, 7, stride=4, padding=2),
}
"""Of the usual networks, and ConvNeXt- and ViT-like ones."""


def images(side: int, count: int = 2) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (count, 3, side, side), dtype=torch.uint8, generator=generator)


def furthest(network: nn.Module, plain: Tensor, lock: Transform, shown: Tensor) -> float:
    with torch.inference_mode():
        made = network(lock.to_input(shown))
    return float(((made["out"] if isinstance(made, dict) else made) - plain).abs().max())


def named(block: int, *steps: str) -> list[str]:
    return [step.replace("M", str(block)) for step in steps]


@pytest.mark.parametrize("stem", STEMS)
@given(
    steps=st.sampled_from([["np-M"], ["shf-M"], ["np-M", "shf-M"], ["shf-M-f50", "np-M-f25"]]),
    secret=st.binary(min_size=32, max_size=32).filter(lambda b: len(set(b)) > 8 and max(b) > 127),
    blocks=st.integers(2, 4),
)
def test_any_plan_is_folded_into_any_stem(
    stem: str, steps: list[str], secret: bytes, blocks: int
) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(STEMS[stem]()).double().eval()
    block = network[0].stride[0]
    lock = compose(named(block, *steps), SecretKey.from_bytes(secret))
    shown = images(block * blocks)
    inputs = identity().to_input(shown, dtype=torch.float64)
    with torch.inference_mode():
        plain = network(inputs)
        seglock.fold(network, lock)
        made = network(lock.to_input(shown, dtype=torch.float64))
    assert torch.allclose(made, plain, atol=1e-12)


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_are_equal_to_rounding_and_are_loaded_as_they_are(
    name: str, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    params, shown = ModelParams(name=name), images(32)
    network = build_model(params, CLASSES).eval()
    side, normalisation = find_stem(network)[1].stride[0], params.normalisation
    steps = [f"np-{side}", f"shf-{side}"]
    lock = compose(steps, KEY, normalisation=normalisation)
    with torch.inference_mode():
        plain = network(identity(normalisation).to_input(shown))["out"]
    seglock.fold(network, lock)
    right = furthest(network, plain, lock, shown)
    assert right < 1e-5 * max(1.0, float(plain.abs().max()))
    other = compose(steps, KEY.wrong(0), normalisation=normalisation)
    for wrong in (other, identity(normalisation)):
        assert furthest(network, plain, wrong, shown) > 100 * right
    save_weights(tmp_path / "folded.safetensors", network)
    loaded = load_model(tmp_path / "folded.safetensors", params, CLASSES)
    assert furthest(loaded, plain, lock, shown) == right


@pytest.mark.parametrize(
    "name",
    ["resnet18d", "regnety_002", "hrnet_w18_small", "densenet121", "tf_efficientnet_b0",
     "inception_v3", "mobilenetv3_small_100", "poolformer_s12", "levit_128",
     "vit_tiny_patch16_224"],
)  # fmt: skip
def test_the_stem_of_networks_is_found_and_folded(name: str) -> None:
    with torch.device("meta"):
        whole = timm.create_model(name)
    stem, conv = find_stem(whole)
    network = nn.Sequential(copy.deepcopy(conv).to_empty(device="cpu")).eval()
    network[0].reset_parameters()
    side = conv.stride[0]
    lock, shown = compose([f"np-{side}", f"shf-{side}"], KEY), images(64)
    with torch.inference_mode():
        plain = network(identity().to_input(shown))
    seglock.fold(network, lock)
    assert furthest(network, plain, lock, shown) < 1e-5 * float(plain.abs().max())
    convs = {n: m for n, m in whole.named_modules() if isinstance(m, nn.Conv2d)}
    assert [n for n, m in convs.items() if m.in_channels == 3] == [stem]


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("resnetv2_50x1_bit", "plain convolution, .* got stem.conv, a StdConv2d"),
        ("nf_resnet26", "plain convolution, .* got stem.conv, a ScaledStdConv2d"),
        ("dm_nfnet_f0", "plain convolution, .* got stem.conv1, a ScaledStdConv2dSame"),
        ("repvgg_a0", "the only convolution of 3 channels, got stem.conv_kxk.conv, stem.conv_1x1"),
        ("mobileone_s0", "the only convolution of 3 channels, got stem.conv_kxk.0.conv, stem"),
        ("tresnet_m", "convolution of 3 channels"),
    ],
)
def test_networks_whose_stem_would_be_folded_wrongly_are_refused(name: str, says: str) -> None:
    with torch.device("meta"):
        network = timm.create_model(name)
    before = dict(network.named_modules())
    with pytest.raises(ModelError, match=f"a stem that is folded must be .*{says}"):
        seglock.fold(network, compose(["np-2", "shf-2"], KEY))
    assert dict(network.named_modules()) == before


class Branches(nn.Module):
    """A decoder that is registered before what reads the image, and a stem with two names."""

    def __init__(self) -> None:
        super().__init__()
        self.decoder = nn.Conv2d(8, 4, 1)
        self.encoder = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2, padding=1))
        self.stem = self.encoder[0]

    def forward(self, x: Tensor) -> Tensor:
        return self.decoder(self.encoder(x) + self.stem(x))


def test_a_stem_is_what_reads_the_image_under_each_of_its_names() -> None:
    network, shown, lock = Branches().eval(), images(16), compose(["np-2", "shf-2"], KEY)
    with torch.inference_mode():
        plain = network(identity().to_input(shown))
    seglock.fold(network, lock)
    assert network.stem is network.encoder[0]
    assert furthest(network, plain, lock, shown) < 1e-5


def test_two_that_may_read_the_image_are_refused_unless_one_is_named() -> None:
    network, lock = Branches(), compose(["shf-2"], KEY)
    network.refined = nn.Conv2d(3, 3, 1)
    with pytest.raises(ModelError, match=r"got encoder\.0, refined; .* its name as stem"):
        seglock.fold(network, lock)
    seglock.fold(network, lock, stem="encoder.0")
    assert isinstance(network.stem, FoldedConv2d)


def test_a_convolution_alone_is_no_network() -> None:
    with pytest.raises(ModelError, match=r"got the convolution alone; put it into .*Sequential"):
        seglock.fold(STEMS["3x3"](), compose(["shf-2"], KEY))


def test_what_was_frozen_stays_so() -> None:
    network = nn.Sequential(STEMS["7x7"]())
    network[0].weight.requires_grad_(False)
    seglock.fold(network, compose(["shf-2"], KEY))
    assert [p.requires_grad for p in network.parameters()] == [False, True]


@pytest.mark.parametrize(
    ("network", "steps", "stem"),
    [
        (nn.Sequential(nn.Conv2d(3, 8, 4, 4)), ["np-2", "shf-2"], None),
        (nn.Sequential(nn.Conv2d(3, 8, 2, 2)), ["np-2", "shf-2"], "1"),
        (nn.Sequential(nn.Conv2d(3, 8, 2, 2), nn.Conv2d(3, 8, 2, 2)), ["np-2", "shf-2"], None),
        (nn.Sequential(nn.Conv2d(3, 8, 2, 2)), ["np-2", "ffx-2"], None),
        (nn.Sequential(FoldedConv2d(nn.Conv2d(3, 8, 2, 2))), ["np-2", "shf-2"], None),
        (nn.Sequential(StdConv2d(3, 8, 2, 2)), ["np-2", "shf-2"], None),
        (nn.Conv2d(3, 8, 2, 2), ["np-2", "shf-2"], None),
        (nn.Sequential(nn.Conv2d(3, 8, 2, 2, device="meta")), ["np-2", "shf-2"], None),
    ],
)
def test_no_traceback_of_a_refusal_holds_a_plan(
    network: nn.Module, steps: list[str], stem: str | None
) -> None:
    lock = compose(steps, KEY)
    with pytest.raises((ModelError, TransformError, NotImplementedError)) as caught:
        seglock.fold(network, lock, stem=stem)
    told = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    inner = [line for frame in list(told.stack)[1:] for line in (frame.locals or {}).items()]
    assert inner
    assert not [line for line in inner if "array(" in line[1] or line[0] in ("order", "signs")]


def test_a_mean_of_a_half_needs_no_fourth_channel() -> None:
    network = nn.Sequential(STEMS["3x3"]())
    permutation, signs = compose(["np-2"], KEY).signed_permutation()
    fold_stem(network, lambda: (permutation, signs), 2, (0.5,) * 3, (0.5,) * 3)
    assert network[0].in_channels == 3
    shown, twin = torch.rand(1, 3, 8, 8) - 0.5, copy.deepcopy(network)
    assert torch.equal(twin(shown), network(shown))


def test_columns_are_of_positions_whatever_the_kernel() -> None:
    network = nn.Sequential(STEMS["7x7"]())
    before = columns(network[0])
    assert before.shape == (8, 4, 4, 12)
    lock = compose(["shf-2"], KEY)
    permutation, _ = lock.signed_permutation()
    fold_stem(network, lock.signed_permutation, 2, (0.5,) * 3, (0.5,) * 3)
    assert torch.allclose(columns(network[0]), before[..., permutation].float().double())


def test_no_plan_leaves_a_block_as_it_is() -> None:
    permutation, signs = identity().signed_permutation()
    assert (permutation.tolist(), signs.tolist()) == ([0, 1, 2], [1, 1, 1])
    permutation, signs = compose(["np-2-f100"], KEY).signed_permutation()
    assert (np.unique(signs).tolist(), permutation.tolist()) == ([-1], list(range(12)))


def test_what_cannot_be_folded_is_one_message() -> None:
    network = nn.Sequential(nn.ReLU(), STEMS["3x3"]())
    before = copy.deepcopy(network.state_dict())
    with pytest.raises(ModelError, match=r"steps by blocks of M = 2.*got M = 4; use .* shf-2"):
        seglock.fold(network, compose(["shf-4"], KEY))
    with pytest.raises(TransformError, match=r"only steps that move or negate .* got np-2, ffx-2"):
        seglock.fold(network, compose(["np-2", "ffx-2"], KEY))
    with pytest.raises(ModelError, match=r"must be a 2d convolution .* got 'stem'; use one of 1"):
        seglock.fold(network, compose(["shf-2"], KEY), stem="stem")
    assert network.state_dict().keys() == before.keys()
    seglock.fold(network, compose(["shf-2"], KEY), stem="1")
    assert isinstance(network[1], FoldedConv2d)
    with pytest.raises(ModelError, match="can be folded once, got 1, which has been"):
        seglock.fold(network, compose(["shf-2"], KEY))
    with pytest.raises(ModelError, match="use a network that has one"):
        find_stem(nn.Linear(2, 2))


@pytest.mark.parametrize(
    "stem",
    [
        nn.Conv2d(1, 8, 3, stride=2),
        nn.Conv2d(3, 9, 3, stride=2, groups=3),
        nn.Conv2d(3, 8, 3, stride=(2, 1)),
        nn.Conv2d(3, 8, (3, 5), stride=2),
        nn.Conv2d(3, 8, 3, stride=2, padding=(1, 0)),
        nn.Conv2d(3, 8, 3, stride=2, padding=1, padding_mode="reflect"),
        nn.Conv2d(3, 8, 3, padding="same"),
        nn.Conv2d(3, 8, 3, padding=1),
    ],
    ids=str,
)
def test_stems_that_cannot_be_folded(stem: nn.Conv2d) -> None:
    with pytest.raises(ModelError, match="a stem that is folded must"):
        seglock.fold(nn.Sequential(stem), compose(["shf-2"], KEY))


def test_other_weights_are_still_told(tmp_path: Path) -> None:
    params = ModelParams(width=8)
    save_weights(tmp_path / "w.safetensors", build_model(ModelParams(width=16), CLASSES))
    with pytest.raises(ModelError, match="must fit the network"):
        load_model(tmp_path / "w.safetensors", params, CLASSES)
