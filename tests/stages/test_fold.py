"""Locks of params.yaml whose key is folded into the initial weights."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from seglock.config import load_params
from seglock.data import PreparedData
from seglock.errors import ModelError
from seglock.models import load_model, read_weights
from seglock.stages.attack import attack_lock
from seglock.stages.encrypt import encrypt_split
from seglock.stages.evaluate import evaluate_locks
from seglock.stages.locks import open_lock, read_training
from seglock.stages.package import WEAKNESS, package_locks
from seglock.stages.rotate import rotate_lock
from seglock.stages.summary import summarise_lock
from seglock.stages.train import train_locks
from seglock.stages.weights import get_weights
from seglock.tracking import NOTE, MemoryTracker
from seglock.transforms import Transform, identity
from tests.stages.conftest import PARAMS, RUN

PLAIN = "data/models/baseline/model.safetensors"
STEM = "backbone.0.0.weight"


@pytest.fixture
def root(project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    text = PARAMS.replace("width: 8", f"width: 8, initial_weights: {PLAIN}").replace(
        "model:",
        "  folded: {steps: [np-2, shf-2], fold: only}\n"
        "  refusing: {steps: [np-2, shf-2], fold: stem, refuse: 0.1}\n"
        "  drawn: {steps: [np-2, shf-2], fold: redrawn}\n"
        "  coarse: {steps: [shf-4], fold: stem}\nmodel:",
    )
    (project / "params.yaml").write_text(text)
    get_weights(load_params(project / "params.yaml"), project)
    monkeypatch.setattr("seglock.tracking.open_run", lambda *args, **kwargs: MemoryTracker(RUN))
    return project


def logits(root: Path, lock: str, transform: Transform) -> torch.Tensor:
    data = PreparedData.open(root / "data/prepared")
    params = load_params(root / "params.yaml")
    network = load_model(root / f"data/models/{lock}/model.safetensors", params.model, 3)
    with torch.inference_mode():
        found: torch.Tensor = network(transform.to_input(data.test.images))["out"]
    return found


def test_what_is_folded_only_is_the_plain_network_and_rotated_at_once(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = logits(root, "baseline", identity())
    train_locks(["folded"], root)
    old = open_lock("folded", load_params(root / "params.yaml"), root)
    assert torch.allclose(logits(root, "folded", old.transform()), plain, atol=1e-4)
    assert read_training(old, root).epochs == 1
    done = rotate_lock("folded", root)
    assert (done.new_key, done.epochs) == ("main-2", 0)
    new = open_lock("folded", load_params(root / "params.yaml"), root)
    assert torch.allclose(logits(root, "folded", new.transform()), plain, atol=1e-4)
    assert not torch.allclose(logits(root, "folded", old.transform()), plain, atol=1e-2)


def test_another_customer_has_its_plan_and_no_registry_calls_it_the_champion(root: Path) -> None:
    train_locks(["folded"], root)
    (collusion,) = attack_lock("folded", root, only=["collusion"])
    assert collusion.plan_found
    path = root / "params.yaml"
    path.write_text(path.read_text() + "search: {max_drop: 1.0, max_regained: 1.0}\n")
    encrypt_split("folded", root)
    evaluate_locks(["baseline", "folded"], root)
    (packaged,) = package_locks(["folded"], root, register=False)
    assert not packaged.standing.keeps
    assert str(packaged.standing).endswith("Its key is folded in, which hides nothing.")
    assert f"**{WEAKNESS}**" in (packaged.folder / "README.md").read_text()


def test_a_folded_start_is_trained_on(root: Path) -> None:
    train_locks(["refusing", "drawn"], root)
    shapes = {
        lock: read_weights(root / f"data/models/{lock}/model.safetensors")[STEM].shape
        for lock in ("refusing", "drawn")
    }
    assert shapes == {"refusing": (8, 4, 4, 4), "drawn": (8, 3, 4, 4)}
    lock = open_lock("refusing", load_params(root / "params.yaml"), root)
    assert logits(root, "refusing", lock.transform()).isfinite().all()
    assert rotate_lock("drawn", root, epochs=1).epochs == 1


def test_blocks_that_do_not_fit_are_told_before_a_run_begins(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr("seglock.tracking.open_run")
    with pytest.raises(ModelError, match=r"steps by blocks of M = 2.*got M = 4; use .* shf-2"):
        train_locks(["coarse"], root)


def test_a_run_says_that_its_lock_is_folded(root: Path) -> None:
    found = summarise_lock("refusing", load_params(root / "params.yaml"), root, ())
    assert "folded into the first convolution (stem), taught to refuse" in found.tags[NOTE]
