from __future__ import annotations

import urllib.error
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from seglock.config import ModelParams
from seglock.errors import ModelError
from seglock.files import read_json, sha256_file, write_json
from seglock.models import (
    build_model,
    fetch_weights,
    load_initial_weights,
    read_weights,
    save_weights,
)
from seglock.models.networks import HEADS, REGISTRY


def params(source: str, name: str = "fcn_small", norm: str = "batch") -> ModelParams:
    fresh = ModelParams(name=name, width=8, norm=norm)
    return fresh.model_copy(update={"initial_weights": source})  # also what params.yaml refuses


def small(seed: int = 0, classes: int = 5, norm: str = "batch") -> nn.Module:
    torch.manual_seed(seed)
    return build_model(params("none", norm=norm), classes)


def state_of(model: nn.Module) -> dict[str, Tensor]:
    return {n: t.clone() for n, t in model.state_dict().items()}


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    path = tmp_path / "given.safetensors"
    save_weights(path, small(), {"lock": "baseline"})
    return path


def test_none_writes_only_the_note_and_changes_nothing(tmp_path: Path) -> None:
    fetch_weights(params("none"), tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["weights.json"]
    model = small(1)
    before = state_of(model)
    assert load_initial_weights(model, tmp_path) == []
    assert all(torch.equal(t, before[n]) for n, t in model.state_dict().items())


def test_none_removes_weights_of_an_earlier_run(tmp_path: Path, weights: Path) -> None:
    out = tmp_path / "out"
    fetch_weights(params(str(weights)), out)
    fetch_weights(params("none"), out)
    assert not (out / "weights.safetensors").exists()


def test_a_file_is_loaded_whole(tmp_path: Path, weights: Path) -> None:
    out = tmp_path / "out"
    fetch_weights(params(str(weights)), out)
    assert read_json(out / "weights.json") == {
        "source": "file",
        "network": "fcn_small",
        "file": "given.safetensors",
        "sha256": sha256_file(out / "weights.safetensors"),
    }
    model = small(1)
    assert load_initial_weights(model, out) == []
    assert all(torch.equal(t, small().state_dict()[n]) for n, t in model.state_dict().items())


def test_the_trained_baseline_is_loaded_and_named(tmp_path: Path, weights: Path) -> None:
    out = tmp_path / "out"
    fetch_weights(params("baseline"), out, file=weights)
    assert read_json(out / "weights.json")["source"] == "baseline"
    assert load_initial_weights(small(1), out) == []


def test_the_baseline_must_have_been_trained(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="need its trained weights"):
        fetch_weights(params("baseline"), tmp_path)


def test_what_stays_fresh_is_named(tmp_path: Path, weights: Path) -> None:
    fetch_weights(params(str(weights)), tmp_path)
    model = small(1, classes=9)
    assert load_initial_weights(model, tmp_path) == ["classifier.bias", "classifier.weight"]


def test_a_head_of_which_part_fits_keeps_that_part(tmp_path: Path) -> None:
    state = dict(small().state_dict())
    del state["classifier.bias"]
    save_weights(tmp_path / "w.safetensors", state)
    fetch_weights(params(str(tmp_path / "w.safetensors")), tmp_path / "out")
    model = small(1)
    assert load_initial_weights(model, tmp_path / "out") == ["classifier.bias"]
    assert torch.equal(model.state_dict()["classifier.weight"], state["classifier.weight"])


def test_another_backbone_is_refused_and_the_network_left_alone(
    tmp_path: Path, weights: Path
) -> None:
    fetch_weights(params(str(weights)), tmp_path)
    model = build_model(ModelParams(width=16), 5)
    before = state_of(model)
    with pytest.raises(ModelError, match=r"must fit the network, got backbone\.0\.0\.weight is 8x"):
        load_initial_weights(model, tmp_path)
    assert all(torch.equal(t, before[n]) for n, t in model.state_dict().items())


def test_batch_norm_weights_start_the_other_norms(tmp_path: Path, weights: Path) -> None:
    fetch_weights(params(str(weights)), tmp_path)
    for norm in ("frozen", "group"):
        model = small(1, norm=norm)
        assert load_initial_weights(model, tmp_path) == []
        given = small().state_dict()
        assert all(torch.equal(t, given[n]) for n, t in model.state_dict().items())


def test_group_norm_weights_lack_what_batch_norm_needs(tmp_path: Path) -> None:
    save_weights(tmp_path / "w.safetensors", small(norm="group"))
    fetch_weights(params(str(tmp_path / "w.safetensors")), tmp_path)
    with pytest.raises(ModelError, match=r"running_mean is missing"):
        load_initial_weights(small(), tmp_path)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("nowhere.safetensors", "'nowhere.safetensors', where no file is"),
        ("imagnet", "must be none, imagenet, coco, baseline or a safetensors file, got 'imagnet'"),
    ],
)
def test_a_source_that_does_not_exist_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelError, match=message):
        fetch_weights(params(source), tmp_path / "out")
    assert not (tmp_path / "out" / "weights.json").exists()


def test_a_pickle_is_refused_before_it_is_opened(tmp_path: Path) -> None:
    path = tmp_path / "w.pth"
    path.write_bytes(b"not even a pickle")
    with pytest.raises(ModelError, match="must be safetensors, which cannot run code"):
        fetch_weights(params(str(path)), tmp_path / "out")


@pytest.mark.parametrize(
    ("content", "message"), [(None, "must exist"), ("{", "readable JSON"), ("[1]", "JSON object")]
)
def test_a_damaged_note_is_refused(tmp_path: Path, content: str | None, message: str) -> None:
    if content is not None:
        (tmp_path / "weights.json").write_text(content)
    with pytest.raises(ModelError, match=message):
        load_initial_weights(small(), tmp_path)


def test_a_missing_weights_file_is_refused(tmp_path: Path) -> None:
    write_json(tmp_path / "weights.json", {"source": "file"})
    with pytest.raises(ModelError, match=r"weights\.safetensors must exist"):
        load_initial_weights(small(), tmp_path)


# Published weights: torchvision's loader is real, only its one call to the network is replaced.


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path / "hub"))
    (tmp_path / "hub" / "checkpoints").mkdir(parents=True)
    return tmp_path / "hub" / "checkpoints"


def test_offline_says_which_file_to_bring(
    tmp_path: Path, hub: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def offline(*args: Any, **kwargs: Any) -> None:
        raise urllib.error.URLError("Name or service not known")

    monkeypatch.setattr(torch.hub, "urlopen", offline)
    told: list[str] = []
    with pytest.raises(ModelError) as caught:
        fetch_weights(params("coco", "fcn_resnet50"), tmp_path / "out", tell=told.append)
    (line,) = told
    assert line.startswith("downloading fcn_resnet50_coco-1167a1af.pth from https://download.")
    assert line.endswith("/models: 135 MB")
    text = str(caught.value)
    assert "https://download.pytorch.org/models/fcn_resnet50_coco-1167a1af.pth" in text
    assert "Name or service not known" in text
    assert str(hub / "fcn_resnet50_coco-1167a1af.pth") in text
    assert "model.initial_weights" in text


def test_a_damaged_download_is_refused(tmp_path: Path, hub: Path) -> None:
    (hub / "mobilenet_v3_large-8738ca79.pth").write_bytes(b"PK\x03\x04 cut off")
    with pytest.raises(ModelError, match="must be downloaded from https"):
        fetch_weights(params("imagenet", "lraspp_mobilenet_v3_large"), tmp_path / "out")


@pytest.mark.parametrize(
    ("name", "classifier", "file"),
    [
        ("lraspp_mobilenet_v3_large", "mobilenet_v3_large", "mobilenet_v3_large-8738ca79.pth"),
        ("fcn_resnet50", "resnet50", "resnet50-0676ba61.pth"),
    ],
)
def test_imagenet_weights_become_the_backbone(
    tmp_path: Path, hub: Path, name: str, classifier: str, file: str
) -> None:
    import torchvision

    torch.manual_seed(5)
    published = getattr(torchvision.models, classifier)(weights=None).state_dict()
    torch.save(published, hub / file)
    fetch_weights(params("imagenet", name), tmp_path / "out")
    assert read_json(tmp_path / "out" / "weights.json")["file"] == file
    torch.manual_seed(6)
    model = build_model(params("none", name), 5)
    fresh = load_initial_weights(model, tmp_path / "out")
    names = model.state_dict()
    assert set(fresh) == {
        n for n in names if n.startswith(HEADS) and not n.endswith("num_batches_tracked")
    }
    for n, tensor in names.items():
        if n.startswith("backbone."):
            there = REGISTRY[name].stem + n.removeprefix("backbone.")
            assert torch.equal(tensor, published[there]), n


def test_coco_weights_keep_what_fits(tmp_path: Path, hub: Path) -> None:
    name = "lraspp_mobilenet_v3_large"
    torch.manual_seed(5)
    published = build_model(params("none", name), 21)
    torch.save(published.state_dict(), hub / "lraspp_mobilenet_v3_large-d234d4ea.pth")
    fetch_weights(params("coco", name), tmp_path / "out")
    assert len(read_weights(tmp_path / "out" / "weights.safetensors")) == len(
        published.state_dict()
    )
    for classes, kept in ((21, True), (7, False)):
        model = build_model(params("none", name), classes)
        fresh = load_initial_weights(model, tmp_path / "out")
        assert bool(fresh) != kept
        assert torch.equal(
            model.state_dict()["classifier.cbr.0.weight"],
            published.state_dict()["classifier.cbr.0.weight"],
        )
