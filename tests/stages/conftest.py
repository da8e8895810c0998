"""One small project for all stages: data, keys, encrypted splits, networks that look trained."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from seglock import files
from seglock.config import load_params
from seglock.tracking import MemoryTracker

PARAMS = """\
data:
  val_split: 8
  image_side: 16
  synthetic: {train: 16, test: 6, side: 16, classes: 3, seed: 1}
locks:
  baseline: {steps: []}
  np-2: {steps: [np-2]}
  np-4: {steps: [np-4]}
  np-1: {steps: [np-1]}
  other: {steps: [np-2], key: other}
  shf-16: {steps: [shf-16]}
  mixed: {steps: [np-2, ffx-2]}
model: {name: fcn_small, width: 8}
train: {epochs: 3, batch_size: 4, lr: 0.1, device: cpu}
evaluate: {wrong_keys: 4, batch_size: 4, pictures: 2}
attack:
  {names: [plain, ciphertext-only, known-plaintext], queries: 4, seconds: 60.0, labelled: [50]}
tracking: {timeout_seconds: 60.0}
"""
RUN = "0123456789abcdef0123456789abcdef"
TRAINED = ("baseline", "np-2", "np-1", "mixed")


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The project, with its key store beside it; no test changes it."""
    from seglock.keys import publish_key
    from seglock.stages import data as data_stage
    from seglock.stages.encrypt import encrypt_split

    root = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEGLOCK_KEY_DIR", str(root / "store"))
        (root / "params.yaml").write_text(PARAMS)
        params = load_params(root / "params.yaml")
        data_stage.get(params, root)
        data_stage.prepare(params, root)
        for name in ("main", "other"):
            publish_key(name, target=root / f"data/keys/{name}.json", create_missing=True)
        for lock in TRAINED:
            encrypt_split(lock, root)
            write_model(root, lock)
        yield root


def write_model(root: Path, lock: str, *, classes: int = 3, **changes: Any) -> None:
    """What training would leave; ``changes`` are those of training.json."""
    import torch

    from seglock.models import build_model, save_weights

    torch.manual_seed(0)
    folder = root / "data" / "models" / lock
    params = load_params(root / "params.yaml")
    save_weights(folder / "model.safetensors", build_model(params.model, classes))
    key_id = files.read_json(root / "data/keys/main.json")["id"] if lock != "baseline" else None
    training = {
        "lock": lock,
        "run_id": RUN,
        "best_epoch": 1,
        "epochs": 2,
        "seconds": 1.5,
        "weights_sha256": files.sha256_file(folder / "model.safetensors"),
        "key_id": key_id,
    } | changes
    files.write_json(folder / "training.json", training)
    lines = ["epoch,lr,train_loss,val_loss,val_miou", "1,0.2,2.0,1.5,0.25", "2,0.1,1.0,0.5,0.5"]
    files.write_text(folder / "history.csv", "\n".join(lines) + "\n")


@pytest.fixture
def project(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the project to change."""
    root = tmp_path / "project"
    shutil.copytree(made, root)
    monkeypatch.setenv("SEGLOCK_KEY_DIR", str(root / "store"))
    monkeypatch.setenv("DVC_ROOT", str(root))
    return root


@pytest.fixture
def tracker(monkeypatch: pytest.MonkeyPatch) -> MemoryTracker:
    """The run of training.json, known to the store, in memory."""
    run = MemoryTracker(RUN)
    monkeypatch.setattr("seglock.tracking.open_run", lambda *args, **kwargs: run)
    return run
