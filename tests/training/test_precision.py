"""bf16 with compile gives the access-control table of float32, trained and judged each its way.

Tolerance: 0.01 in mean IoU where the same weights are judged. Where training differed too the
courses of bf16 and float32 part: the owner's is within 0.05, and nobody trains what others have.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from seglock.config import override
from seglock.data import PreparedData
from seglock.evaluation import judge_lock
from seglock.keys import demonstration_key
from seglock.models import load_model
from seglock.tracking import MemoryTracker
from seglock.training import train
from seglock.transforms import compose, incorrect_transforms
from tests.training.small import small_data, small_job, small_params, small_split

needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
EXACT = {"precision": "float32", "compile": False, "channels_last": False, "device": "cpu"}
FAST = {"precision": "bf16", "compile": True, "channels_last": True}
STEPS = ["np-4"]
TRAINED, JUDGED = 0.05, 0.01


@pytest.fixture(scope="module")
def data() -> PreparedData:
    return dataclasses.replace(small_data(train=64), test=small_split("test", 32, 2))


def trained(folder: Path, data: PreparedData, recipe: dict[str, Any]) -> Path:
    params = small_params(epochs=8, crop_scale=[0.9, 1.0], average=0.9, **recipe)
    job = small_job(folder, params, data=data)
    return train(job, tracker=MemoryTracker(), progress=False).weights


def judged(weights: Path, data: PreparedData, recipe: dict[str, Any]) -> dict[str, float]:
    """The table: mean IoU by access."""
    key = demonstration_key()
    options = {name: recipe[name] for name in ("device", "precision")}
    params = override(override(small_params(), "train", options), "evaluate", {"batch_size": 8})
    result = judge_lock(
        load_model(weights, params.model, data.num_classes),
        data,
        params,
        test=data.test,
        unlabelled=data.train.images,
        transform=compose(STEPS, key),
        wrong=incorrect_transforms(STEPS, key, 8),
    ).scores
    assert result.correct is not None
    assert result.incorrect is not None
    return {
        "correct": result.correct.miou,
        "plain": result.plain.miou,
        "plain_bn": result.plain_bn.miou,
        "incorrect": result.incorrect.mean,
    }


@pytest.mark.parametrize(
    "device", ["cpu", pytest.param("cuda", marks=[pytest.mark.gpu, needs_cuda])]
)
def test_fast_and_exact_give_the_same_table(
    tmp_path: Path, data: PreparedData, compile_with: Callable[[str], None], device: str
) -> None:
    fast = FAST | {"device": device}
    if device == "cpu":
        compile_with("aot_eager")
    exact_weights = trained(tmp_path / "exact", data, EXACT)
    expected = judged(exact_weights, data, EXACT)
    assert expected["correct"] > 0.8  # a network that has learnt, or the rest says little
    assert expected["correct"] - expected["incorrect"] > 0.1
    assert judged(exact_weights, data, fast) == pytest.approx(expected, abs=JUDGED)
    own = judged(trained(tmp_path / "fast", data, fast), data, fast)
    assert own["correct"] == pytest.approx(expected["correct"], abs=TRAINED)
    assert own["correct"] - own["incorrect"] > 0.1
