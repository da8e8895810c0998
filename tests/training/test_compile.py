"""One compilation serves every lock."""

from __future__ import annotations

import gc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from torch import nn
from torch._dynamo.utils import counters

from seglock.config import RefuseParams
from seglock.keys import demonstration_key
from seglock.tracking import MemoryTracker
from seglock.training import TrainResult, train
from seglock.transforms import Unauthorised, compose
from tests.training.small import digest_of, largest_difference, small_job, small_params

Compile = Callable[[str], None]


def graphs() -> int:
    return int(counters["stats"]["unique_graphs"])


def run(folder: Path, steps: tuple[str, ...] = ("np-4",), **recipe: Any) -> TrainResult:
    transform = compose(list(steps), key=demonstration_key())
    job = small_job(folder, small_params(compile=True, **recipe), transform=transform)
    return train(job, tracker=MemoryTracker(), progress=False)


def shallow(*, weights: None, **options: Any) -> nn.Module:
    """A ResNet with one block where the 50-layer one has several, which are traced alike."""
    from torchvision.models.resnet import Bottleneck, ResNet

    return ResNet(Bottleneck, [1, 1, 1, 1], **options)


@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_locks_of_one_process_share_one_compilation(
    tmp_path: Path, compile_with: Compile, precision: str
) -> None:
    compile_with("eager")
    recipe = {"precision": precision, "channels_last": True, "average": 0.9}
    digests = set()
    for number, steps in enumerate([("np-4",), ("shf-2",), ("ffx-4",), ()]):
        digests.add(digest_of(run(tmp_path / str(number), steps, **recipe).weights))
        gc.collect()  # the graph outlives the network that it was traced from
        assert graphs() == 1
    assert len(digests) == 4
    assert not counters["graph_break"]


def test_a_partial_batch_is_not_compiled(tmp_path: Path, compile_with: Compile) -> None:
    compile_with("eager")
    run(tmp_path, batch_size=5, drop_last=False)
    assert graphs() == 1


def test_another_size_is_another_graph_and_the_first_one_stays(
    tmp_path: Path, compile_with: Compile
) -> None:
    compile_with("eager")
    for number, size in enumerate((4, 6, 4, 6)):
        run(tmp_path / str(number), batch_size=size, epochs=1)
    assert graphs() == 2


def test_compiled_training_is_the_usual_one(tmp_path: Path, compile_with: Compile) -> None:
    usual = train(small_job(tmp_path / "usual"), tracker=MemoryTracker(), progress=False)
    compile_with("aot_eager")
    compiled = run(tmp_path / "compiled")
    assert graphs() == 1
    assert largest_difference(usual.weights, compiled.weights) < 1e-4
    assert compiled.val_loss == pytest.approx(usual.val_loss, rel=1e-4)


def test_a_refusal_compiled_is_the_usual_one(tmp_path: Path, compile_with: Compile) -> None:
    """Each way of batch norm in the second term is a graph of its own, and none is made twice."""
    lock, key = compose(["np-4"], key=demonstration_key()), demonstration_key()
    refusal = Unauthorised(lock, key, RefuseParams(weight=0.3))
    usual = small_job(tmp_path / "usual", unauthorised=refusal)
    expected = train(usual, tracker=MemoryTracker(), progress=False)
    compile_with("aot_eager")
    params = small_params(compile=True)
    job = small_job(tmp_path / "compiled", params, unauthorised=refusal)
    compiled = train(job, tracker=MemoryTracker(), progress=False)
    assert graphs() == 3
    assert largest_difference(expected.weights, compiled.weights) < 1e-4


def test_the_auxiliary_loss_is_in_the_same_graph(
    tmp_path: Path, compile_with: Compile, monkeypatch: pytest.MonkeyPatch
) -> None:
    compile_with("eager")
    monkeypatch.setattr("torchvision.models.segmentation.fcn.resnet50", shallow)
    model = {"name": "fcn_resnet50", "norm": "group", "zero_init_residual": True}
    run(tmp_path, model=model, aux_loss_weight=0.4, epochs=1, batch_size=12)
    assert graphs() == 1
    assert not counters["graph_break"]
