from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from seglock import files
from seglock.config import Params, check_params
from seglock.errors import KeyRefusedError, ModelError
from seglock.models import build_model, fetch_weights, load_initial_weights, save_weights
from seglock.stages.weights import get_weights


def params(**model: Any) -> Params:
    values = {
        "locks": {"baseline": {"steps": []}},
        "data": {
            "val_split": 4,
            "image_side": 16,
            "synthetic": {"train": 12, "test": 4, "side": 16, "classes": 3, "seed": 1},
        },
        "model": {"width": 8, **model},
        "train": {"epochs": 2, "batch_size": 4, "select": "last"},
    }
    return check_params(values)


def test_none_is_what_fetching_none_writes_but_without_torch(tmp_path: Path) -> None:
    get_weights(params(), tmp_path)
    fetch_weights(params().model, tmp_path / "expected")
    folder = tmp_path / "data/weights"
    assert [p.name for p in folder.iterdir()] == ["weights.json"]
    assert (folder / "weights.json").read_bytes() == (
        tmp_path / "expected/weights.json"
    ).read_bytes()
    script = (
        "import sys; from pathlib import Path; from seglock.config import check_params\n"
        "from seglock.stages.weights import get_weights\n"
        "get_weights(check_params({'locks': {'baseline': {'steps': []}}}), Path(sys.argv[1]))\n"
        "print('torch' in sys.modules)"
    )
    answer = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], capture_output=True, check=True
    )
    assert answer.stdout.strip() == b"False"


def test_a_file_is_found_from_the_projects_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_weights(tmp_path / "own.safetensors", build_model(params().model, 3))
    monkeypatch.setenv("WHERE", str(tmp_path))
    for name in ("own.safetensors", "$WHERE/own.safetensors"):
        get_weights(params(initial_weights=name), tmp_path)
        assert files.read_json(tmp_path / "data/weights/weights.json")["file"] == "own.safetensors"
    assert load_initial_weights(build_model(params().model, 3), tmp_path / "data/weights") == []


def test_what_a_variable_holds_is_not_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "hunter22")
    (tmp_path / "hunter22.safetensors").write_text("damaged")
    (tmp_path / "hunter22.pt").touch()
    (tmp_path / "hunter22").mkdir()
    for name in ("$SECRET.safetensors", "$SECRET.pt", "$SECRET", "$SECRET/absent.safetensors"):
        with pytest.raises(ModelError, match=r"\$SECRET") as caught:
            get_weights(params(initial_weights=name), tmp_path)
        assert "hunter22" not in str(caught.value)
    save_weights(tmp_path / "hunter22.safetensors", build_model(params().model, 3))
    get_weights(params(initial_weights="${SECRET}.safetensors"), tmp_path)
    about = files.read_json(tmp_path / "data/weights/weights.json")
    assert about["file"] == "${SECRET}.safetensors"
    with pytest.raises(KeyRefusedError):
        get_weights(params(initial_weights="$SEGLOCK_KEY_MAIN.safetensors"), tmp_path)
    with pytest.raises(ModelError, match="home folder of a user"):
        get_weights(params(initial_weights="~nosuchuser/a.safetensors"), tmp_path)


def test_a_missing_file_leaves_the_last_weights(tmp_path: Path) -> None:
    get_weights(params(), tmp_path)
    with pytest.raises(ModelError, match="where no file is"):
        get_weights(params(initial_weights="own.safetensors"), tmp_path)
    assert files.read_json(tmp_path / "data/weights/weights.json")["source"] == "none"


def test_the_baseline_is_trained_and_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from seglock.stages import data

    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    chosen = params(initial_weights="baseline")
    data.get(chosen, tmp_path)
    data.prepare(chosen, tmp_path)
    get_weights(chosen, tmp_path)
    folder = tmp_path / "data/weights"
    assert files.read_json(folder / "weights.json")["source"] == "baseline"
    torch.manual_seed(chosen.train.seed)
    model = build_model(chosen.model, 3)
    fresh = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    assert load_initial_weights(model, folder) == []
    assert any(not torch.equal(fresh[n], t) for n, t in model.state_dict().items())
    first = (folder / "weights.safetensors").read_bytes()
    get_weights(chosen, tmp_path)
    assert (folder / "weights.safetensors").read_bytes() == first
