"""Device, precision and memory format: ``auto`` settled, and trainings that still agree."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from seglock.config import TrainParams
from seglock.errors import ModelError
from seglock.tracking import MemoryTracker
from seglock.training import TrainResult, train
from seglock.training.runtime import Runtime
from seglock.transforms import identity
from tests.training.small import largest_difference, small_job, small_params

needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


def run(folder: Path, **recipe: Any) -> TrainResult:
    return train(small_job(folder, small_params(**recipe)), tracker=MemoryTracker(), progress=False)


def test_auto_is_float32_and_uncompiled_on_the_cpu() -> None:
    assert Runtime.of(TrainParams(device="cpu")) == Runtime(
        torch.device("cpu"), bf16=False, channels_last=True, compile=False
    )


def test_auto_is_bf16_channels_last_and_compiled_on_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setenv("LOCAL_RANK", "1")
    every = Runtime(torch.device("cuda:1"), bf16=True, channels_last=True, compile=True)
    assert Runtime.of(TrainParams()) == every
    assert Runtime.of(TrainParams(precision="float32", compile=False)) == Runtime(
        torch.device("cuda:1"), bf16=False, channels_last=True, compile=False
    )


def test_a_device_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"write auto or cpu"):
        run(tmp_path, device="cuda:99")


def test_memory_format_changes_nothing_but_rounding(tmp_path: Path) -> None:
    group = {"model": {"norm": "group"}, "lr": 0.02}
    usual = run(tmp_path / "usual", channels_last=False, **group)
    last = run(tmp_path / "last", channels_last=True, **group)
    assert largest_difference(usual.weights, last.weights) < 1e-5


def test_bf16_trains_near_float32_with_float32_weights(tmp_path: Path) -> None:
    usual, half = run(tmp_path / "usual"), run(tmp_path / "half", precision="bf16")
    assert half.history != usual.history
    assert half.val_loss == pytest.approx(usual.val_loss, rel=0.1)


def test_inputs_are_in_the_dtype_and_format_asked_for() -> None:
    images = torch.zeros(2, 3, 4, 4, dtype=torch.uint8)
    runtime = Runtime(torch.device("cpu"), bf16=True, channels_last=True, compile=False)
    inputs = runtime.to_input(identity(), images)
    assert inputs.dtype == torch.bfloat16
    assert inputs.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.gpu
@needs_cuda
@pytest.mark.parametrize("data_on_device", [True, False])
def test_cuda_agrees_with_the_cpu(tmp_path: Path, data_on_device: bool) -> None:
    usual = {"model": {"norm": "group"}, "lr": 0.02, "select": "last"}
    exact = {"precision": "float32", "compile": False, "channels_last": False}
    cpu = run(tmp_path / "cpu", **usual)
    cuda = run(tmp_path / "cuda", device="cuda", data_on_device=data_on_device, **usual, **exact)
    fast = run(tmp_path / "fast", device="cuda", data_on_device=data_on_device, **usual)
    assert largest_difference(cpu.weights, cuda.weights) < 1e-3
    assert fast.val_loss == pytest.approx(cpu.val_loss, rel=0.05)
