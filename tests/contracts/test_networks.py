"""One contract, every network: a new entry of the registry is tested by being there."""

from __future__ import annotations

import re
from collections.abc import Callable
from copy import deepcopy
from functools import cache
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from seglock.config import NETWORKS, ModelParams
from seglock.models import (
    FrozenBatchNorm2d,
    build_model,
    fetch_weights,
    load_initial_weights,
    load_weights,
    save_weights,
)
from seglock.models.networks import HEADS, REGISTRY, network_of

NORMS = ("batch", "frozen", "group")
CLASSES = 5
TIMM = "timm/tf_efficientnet_lite0"
DEEPER = {"fcn_resnet101": "fcn_resnet50"}
"""Networks with more of the same blocks that another has: it stands for both."""
Networks = Callable[[str], nn.Module]


def params(name: str, norm: str = "batch") -> ModelParams:
    return ModelParams(name=name, norm=norm, width=8)


def build(name: str, norm: str = "batch", *, aux: bool = False) -> nn.Module:
    torch.manual_seed(1)
    return build_model(params(name, norm), CLASSES, aux=aux)


def images(batch: int = 2, height: int = 32, width: int = 32) -> Tensor:
    return torch.randn(batch, 3, height, width, generator=torch.Generator().manual_seed(2))


@pytest.fixture(scope="module", params=[*(one for one in NETWORKS if one not in DEEPER), TIMM])
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def network(name: str) -> Networks:
    """The network with a norm and all its heads, built once: no test changes its parameters."""
    return cache(lambda norm: build(name, norm, aux=True))


@pytest.fixture(scope="module")
def fresh(name: str) -> nn.Module:
    """The network without an auxiliary head, from another seed."""
    torch.manual_seed(2)
    return build_model(params(name), CLASSES)


@pytest.fixture(scope="module")
def saved(
    name: str, network: Networks, tmp_path_factory: pytest.TempPathFactory
) -> tuple[ModelParams, nn.Module, Path]:
    """One and its file."""
    norm = "frozen" if name == "fcn_resnet50" else "batch"  # each kind of buffer, once written
    model = deepcopy(network(norm))
    file = tmp_path_factory.mktemp("saved") / "w.safetensors"
    save_weights(file, model, {"nonce": "ab"})
    return params(name, norm), model, file


@pytest.mark.parametrize(("name", "like"), DEEPER.items())
def test_a_deeper_network_has_more_of_the_same_blocks(name: str, like: str) -> None:
    with torch.device("meta"):
        deeper, one = (build(each, aux=True).eval() for each in (name, like))
        answer = deeper(torch.zeros(2, 3, 32, 48))
    assert {n: logits.shape for n, logits in answer.items()} == {
        "out": (2, CLASSES, 32, 48), "aux": (2, CLASSES, 32, 48)
    }  # fmt: skip

    def layers(model: nn.Module) -> set[tuple[str, torch.Size]]:
        return {
            (re.sub(r"(layer\d)\.[1-9]\d*", r"\1.N", n), tensor.shape)
            for n, tensor in model.state_dict().items()
        }

    assert layers(deeper) == layers(one)
    assert len(deeper.state_dict()) > len(one.state_dict())


def test_the_configured_names_are_the_registered_ones() -> None:
    assert set(NETWORKS) == set(REGISTRY)


@pytest.mark.parametrize("aux", [False, True])
def test_logits_have_the_input_size_in_float32(
    name: str, network: Networks, fresh: nn.Module, aux: bool
) -> None:
    model = (network("batch") if aux else fresh).eval()
    with torch.inference_mode():
        answer = model(images(2, 32, 48))
    expected = {"out", "aux"} if aux and network_of(name).has_aux else {"out"}
    assert set(answer) == expected
    for logits in answer.values():
        assert logits.shape == (2, CLASSES, 32, 48)
        assert logits.dtype == torch.float32
        assert logits.isfinite().all()


@pytest.mark.parametrize(
    ("norm", "side"), [*[(n, 16) for n in NORMS], ("batch", 33), ("group", 17)]
)
def test_one_small_or_odd_image_is_enough_in_eval(network: Networks, norm: str, side: int) -> None:
    model = network(norm).eval()
    with torch.inference_mode():
        assert model(images(1, side, side))["out"].shape == (1, CLASSES, side, side)


@pytest.mark.parametrize("norm", NORMS)
def test_gradient_reaches_every_parameter(network: Networks, norm: str) -> None:
    model = network(norm).train()
    model.zero_grad()
    answer = model(images())
    torch.stack([logits.square().mean() for logits in answer.values()]).sum().backward()
    gradients = {n: p.grad for n, p in model.named_parameters()}
    assert gradients
    for parameter, gradient in gradients.items():
        assert gradient is not None, parameter
        assert gradient.isfinite().all(), parameter
        assert gradient.any(), parameter
    model.zero_grad()


@pytest.mark.parametrize("norm", NORMS)
def test_norm_is_what_was_asked_for(network: Networks, norm: str) -> None:
    model = network(norm)
    kinds = {"batch": nn.BatchNorm2d, "frozen": FrozenBatchNorm2d, "group": nn.GroupNorm}
    counts = {k: sum(isinstance(m, kind) for m in model.modules()) for k, kind in kinds.items()}
    assert counts.pop(norm) >= 6
    assert set(counts.values()) == {0}


def test_only_batch_norm_moves_buffers_in_training(network: Networks) -> None:
    for norm in NORMS:
        model = network(norm).train()
        before = {n: b.clone() for n, b in model.named_buffers()}
        with torch.no_grad():
            model(images())
        moved = any(not torch.equal(b, before[n]) for n, b in model.named_buffers())
        assert moved == (norm == "batch"), norm


def test_weights_survive_the_disk(saved: tuple[ModelParams, nn.Module, Path]) -> None:
    _, model, path = saved
    other = deepcopy(model)
    for tensor in other.state_dict().values():
        tensor.zero_()
    assert load_weights(path, other)["nonce"] == "ab"
    state, restored = model.state_dict(), other.state_dict()
    assert list(state) == list(restored)
    assert all(torch.equal(state[n], restored[n]) for n in state)
    assert all(state[n].dtype == restored[n].dtype for n in state)


def test_a_seed_repeats_the_fresh_weights(name: str, network: Networks, fresh: nn.Module) -> None:
    one = dict(network("batch").named_parameters())
    two = build(name, aux=True).state_dict()
    assert all(torch.equal(one[n], two[n]) for n in one)
    other = dict(fresh.get_submodule("backbone").named_parameters(prefix="backbone"))
    assert any(not torch.equal(one[n], other[n]) for n in other)


@pytest.mark.parametrize("norm", ["frozen", "group"])
def test_channels_last_changes_nothing(network: Networks, norm: str) -> None:
    model = deepcopy(network(norm)).eval().double()  # in float32, order of summation shows
    x = images(1, 16, 16).double()
    with torch.inference_mode():
        contiguous = model(x)["out"]
        model = model.to(memory_format=torch.channels_last)
        last = model(x.to(memory_format=torch.channels_last))["out"]
    torch.testing.assert_close(last, contiguous, rtol=1e-9, atol=1e-9)


def test_parameters_are_named_by_backbone_and_classifier(
    network: Networks,
) -> None:
    names = list(network("batch").state_dict())
    assert all(n.startswith(("backbone.", *HEADS)) for n in names)


def test_another_number_of_classes_only_renews_the_classifier(
    saved: tuple[ModelParams, nn.Module, Path], tmp_path: Path
) -> None:
    asked, given, file = saved
    fetch_weights(asked.model_copy(update={"initial_weights": str(file)}), tmp_path / "weights")
    torch.manual_seed(3)
    model = build_model(asked, 7, aux=True)
    built = {n: t.clone() for n, t in model.state_dict().items()}
    fresh = load_initial_weights(model, tmp_path / "weights")
    assert fresh
    assert all(n.startswith(HEADS) for n in fresh)
    source = given.state_dict()
    for n, tensor in model.state_dict().items():
        if n in fresh:
            assert source[n].shape != tensor.shape
            assert torch.equal(tensor, built[n])
        else:
            assert torch.equal(tensor, source[n]), n
