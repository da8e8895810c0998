from __future__ import annotations

from pathlib import Path

import pytest
import torch

from seglock.config import ModelParams
from seglock.errors import ModelError
from seglock.models import build_model, load_model, save_weights


@pytest.mark.parametrize("aux", [False, True])
def test_a_trained_network_answers_as_it_did(tmp_path: Path, aux: bool) -> None:
    params = ModelParams(name="fcn_resnet50")
    model = build_model(params, 3, aux=aux).eval()
    save_weights(tmp_path / "w.safetensors", model)
    loaded = load_model(tmp_path / "w.safetensors", params, 3)
    x = torch.randn(1, 3, 32, 32)
    with torch.inference_mode():
        answer = loaded(x)
        assert set(answer) == {"out"}
        assert torch.equal(answer["out"], model(x)["out"])
    assert not loaded.training


def test_weights_for_other_classes_are_refused(tmp_path: Path) -> None:
    params = ModelParams(width=8)
    save_weights(tmp_path / "w.safetensors", build_model(params, 3))
    with pytest.raises(ModelError, match=r"classifier\.weight is 3x8x1x1, not 4x8x1x1"):
        load_model(tmp_path / "w.safetensors", params, 4)
