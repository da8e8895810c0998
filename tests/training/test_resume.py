"""kill -9 at any moment, then the same command: the same weights, bit for bit."""

from __future__ import annotations

import itertools
import json
import multiprocessing
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from seglock.config import Params
from seglock.errors import TrainingError
from seglock.models import build_model
from seglock.tracking import MemoryTracker
from seglock.training import loop, train
from seglock.training.checkpoint import CheckpointFolder, decode, encode
from tests.training.killed import MOMENTS, run
from tests.training.small import digest_of, small_job, small_params

KILLED = {name for name in MOMENTS if name}


@pytest.fixture(scope="module")
def processes() -> Any:
    """A server that has imported everything once and forks a process for each training."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.training.killed"])
    return context


def in_a_process(processes: Any, folder: Path, moment: str = "") -> int:
    process = processes.Process(target=run, args=(folder, moment))
    process.start()
    process.join()
    return int(process.exitcode)


@pytest.fixture(scope="module")
def uninterrupted(processes: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("uninterrupted")
    assert in_a_process(processes, folder) == 0
    return json.loads((folder / "outcome.json").read_text())


@pytest.mark.parametrize("moment", sorted(KILLED))
def test_a_killed_training_ends_with_the_same_weights(
    processes: Any, uninterrupted: dict[str, Any], tmp_path: Path, moment: str
) -> None:
    assert in_a_process(processes, tmp_path, moment) == -signal.SIGKILL
    assert not (tmp_path / "outcome.json").exists()
    assert in_a_process(processes, tmp_path) == 0
    outcome = json.loads((tmp_path / "outcome.json").read_text())
    assert outcome["resumed_from"] == {
        "in a step": 2,
        "in the first epoch": None,
        "when an epoch is tracked": 1,
        "while a checkpoint is half written": 2,
        "while the first checkpoint is half written": None,
        "before a checkpoint is renamed": 1,
        "before the old checkpoint is removed": 3,
        "after the last epoch": 4,
    }.get(moment)
    assert outcome | {"resumed_from": None} == uninterrupted
    assert not list(tmp_path.glob(".*"))


def stopped_after(folder: Path, epoch: int, params: Params | None = None) -> None:
    """Train and stop after an epoch's checkpoint."""

    def stop(row: Any) -> None:
        if row["epoch"] == epoch:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        train(small_job(folder, params), tracker=MemoryTracker(), progress=False, on_epoch=stop)


def checkpoints(folder: Path) -> list[Path]:
    return sorted(folder.glob("epoch-*.safetensors"))


def test_the_newest_two_checkpoints_stay(tmp_path: Path) -> None:
    train(small_job(tmp_path), tracker=MemoryTracker(), progress=False)
    assert [path.name[:11] for path in checkpoints(tmp_path)] == ["epoch-00002", "epoch-00003"]


def test_checkpoints_lie_apart_in_time_and_change_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = train(small_job(tmp_path / "a"), tracker=MemoryTracker(), progress=False)
    ticks = itertools.count(step=10.0)
    monkeypatch.setattr(loop.time, "monotonic", lambda: next(ticks))
    params = small_params(checkpoint_seconds=15.0)  # each epoch seems to take 10
    stopped_after(tmp_path / "b", 3, params)
    assert [path.name[:11] for path in checkpoints(tmp_path / "b")] == ["epoch-00002"]
    result = train(small_job(tmp_path / "b", params), tracker=MemoryTracker(), progress=False)
    assert result.resumed_from == 2
    assert digest_of(result.weights) == digest_of(whole.weights)


@pytest.mark.parametrize("damage", ["truncated", "flipped"])
def test_a_damaged_checkpoint_is_said_and_the_one_before_is_used(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], damage: str
) -> None:
    whole = train(small_job(tmp_path / "whole"), tracker=MemoryTracker(), progress=False)
    stopped_after(tmp_path / "cut", 2)
    newest = checkpoints(tmp_path / "cut")[-1]
    content = bytearray(newest.read_bytes())
    if damage == "truncated":
        del content[-10:]
    else:
        content[-10] ^= 1
    newest.write_bytes(content)
    result = train(small_job(tmp_path / "cut"), tracker=MemoryTracker(), progress=False)
    said = " ".join(capsys.readouterr().err.split())
    assert f"{newest.name} is damaged" in said
    assert "continues after epoch 1 of 3" in said
    assert result.resumed_from == 1
    assert digest_of(result.weights) == digest_of(whole.weights)


def test_without_a_whole_checkpoint_it_starts_from_scratch_and_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stopped_after(tmp_path, 2)
    for path in checkpoints(tmp_path):
        path.write_bytes(path.read_bytes()[:100])
    result = train(small_job(tmp_path), tracker=MemoryTracker(), progress=False)
    assert "training starts from scratch" in capsys.readouterr().err
    assert result.resumed_from is None
    assert len(checkpoints(tmp_path)) == 2


class WithDropout(nn.Module):
    """A network that draws from torch's generator in every step."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"out": nn.functional.dropout(self.network(x)["out"], 0.3, self.training)}


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_dropout_and_both_optimizers_go_on_bit_for_bit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, optimizer: str
) -> None:
    def build(*given: Any, **named: Any) -> nn.Module:
        return WithDropout(build_model(*given, **named))

    monkeypatch.setattr(loop, "build_model", build)
    params = small_params(optimizer=optimizer, lr=0.01)
    whole = train(small_job(tmp_path / "a", params), tracker=MemoryTracker(), progress=False)
    stopped_after(tmp_path / "b", 1, params)
    torch.rand(7)  # whatever else the process drew
    resumed = train(small_job(tmp_path / "b", params), tracker=MemoryTracker(), progress=False)
    assert resumed.history == whole.history
    assert digest_of(resumed.weights) == digest_of(whole.weights)


@pytest.mark.parametrize("average", [None, 0.5])
def test_the_best_epoch_before_the_stop_is_still_the_one_kept(
    tmp_path: Path, average: float | None
) -> None:
    params = small_params(epochs=6, lr=0.5, schedule="constant", average=average)
    whole = train(small_job(tmp_path / "a", params), tracker=MemoryTracker(), progress=False)
    assert whole.best_epoch < 6
    stopped_after(tmp_path / "b", 6, params)
    resumed = train(small_job(tmp_path / "b", params), tracker=MemoryTracker(), progress=False)
    assert resumed.best_epoch == whole.best_epoch
    assert digest_of(resumed.weights) == digest_of(whole.weights)


def test_a_run_that_missed_the_epochs_before_the_kill_gets_them(tmp_path: Path) -> None:
    stopped_after(tmp_path, 2)
    same, other = MemoryTracker(), MemoryTracker("another")
    copy = tmp_path / "copy"
    copy.mkdir()
    for path in checkpoints(tmp_path):
        (copy / path.name).write_bytes(path.read_bytes())
    train(small_job(tmp_path), tracker=same, progress=False)
    train(small_job(copy), tracker=other, progress=False)
    assert [step for _, step in same.metrics] == [3]
    assert [step for _, step in other.metrics] == [1, 2, 3]


@pytest.mark.parametrize("average", [None, 0.9])
def test_a_snapshot_survives_encoding_bit_for_bit(tmp_path: Path, average: float | None) -> None:
    params = small_params(average=average)
    train(small_job(tmp_path, params), tracker=MemoryTracker(), progress=False)
    content = CheckpointFolder(tmp_path, print).read()
    assert content is not None
    snapshot = decode(content)
    assert snapshot.course.epoch == 3
    again = decode(encode(snapshot))
    assert again.course.history == snapshot.course.history
    for one, other in (
        (again.model, snapshot.model),
        (again.optimizer, snapshot.optimizer),
        (again.average, snapshot.average),
        (again.course.best, snapshot.course.best),
    ):
        assert one.keys() == other.keys()
        assert all(one[name].equal(other[name]) for name in one)


def test_one_that_is_not_resumable_neither_writes_nor_reads_checkpoints(tmp_path: Path) -> None:
    whole = train(small_job(tmp_path / "a"), tracker=MemoryTracker(), progress=False)
    stopped_after(tmp_path / "b", 2)
    for path in checkpoints(tmp_path / "b"):
        path.write_bytes(b"not for this one")
    job = small_job(tmp_path / "b", resumable=False)
    result = train(job, tracker=MemoryTracker(), progress=False)
    assert result.resumed_from is None
    assert digest_of(result.weights) == digest_of(whole.weights)
    assert all(path.read_bytes() == b"not for this one" for path in checkpoints(tmp_path / "b"))
    fresh = train(small_job(tmp_path / "c", resumable=False), tracker=MemoryTracker())
    assert [path.name for path in fresh.weights.parent.iterdir()] == [fresh.weights.name]


def test_a_checkpoint_of_another_format_is_refused(tmp_path: Path, monkeypatch: Any) -> None:
    stopped_after(tmp_path, 1)
    monkeypatch.setattr("seglock.training.checkpoint.FORMAT", 1)
    with pytest.raises(TrainingError, match="must have the format of this version"):
        train(small_job(tmp_path), tracker=MemoryTracker(), progress=False)


def test_a_checkpoint_holds_tensors_and_json_and_nothing_of_the_key(tmp_path: Path) -> None:
    import safetensors.torch

    job = small_job(tmp_path, small_params(epochs=1))
    train(job, tracker=MemoryTracker(), progress=False)
    (path,) = checkpoints(tmp_path)
    parts = {name.partition("/")[0] for name in safetensors.torch.load(path.read_bytes())}
    assert parts == {"model", "optimizer"}
    with safetensors.safe_open(path, framework="pt") as file:
        about = json.loads(file.metadata()["course"])
    assert set(about) == {"format", "best_epoch", "history", "seconds", "run_id"}
