"""Two processes under torchrun train as one does on the same global batches."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from seglock.config import TrainParams
from seglock.errors import TrainingError
from seglock.tracking import MemoryTracker
from seglock.training.distributed import World, join, rank_of
from tests.training.ranks import CASES, train_case
from tests.training.small import digest_of, largest_difference
from tests.training.torchrun import torchrun

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which two processes have trained every case."""
    folder = tmp_path_factory.mktemp("together")
    torchrun("tests.training.ranks", str(folder), folder=ROOT)
    return folder


def ranks(together: Path) -> list[dict[str, Any]]:
    return [json.loads((together / f"rank-{rank}.json").read_text()) for rank in (0, 1)]


@pytest.mark.parametrize("case", sorted(CASES))
def test_two_processes_agree_with_one(together: Path, tmp_path: Path, case: str) -> None:
    alone = train_case(case, tmp_path, MemoryTracker())
    weights = together / "rank-0" / case / "model.safetensors"
    assert largest_difference(alone.weights, weights) < 2e-5
    for found in ranks(together):
        for row, expected in zip(found[case]["history"], alone.history, strict=True):
            assert row == pytest.approx(expected, rel=1e-4)


def test_only_the_first_writes_and_tracks(together: Path) -> None:
    first, second = ranks(together)
    assert {case: first[case]["tracked"] for case in CASES} == dict.fromkeys(CASES, 2)
    assert {case: second[case]["tracked"] for case in CASES} == dict.fromkeys(CASES, 0)
    assert not [path for path in (together / "rank-1").rglob("*") if path.is_file()]


def test_a_stopped_training_goes_on_in_both(together: Path) -> None:
    """The second process has no checkpoint: it gets the first one's."""
    for found in ranks(together):
        assert found["resumed"]["from"] == 1
        assert found["resumed"]["history"] == found["group"]["history"]
    whole, resumed = (
        digest_of(together / "rank-0" / name / "model.safetensors") for name in ("group", "resumed")
    )
    assert resumed == whole


def test_what_several_processes_cannot_do_is_refused(together: Path) -> None:
    for found in ranks(together):
        assert found["model"] == (
            "batch normalisation over several processes needs CUDA, got norm=batch on 2 CPU "
            "processes; set model.norm to frozen or group, or train in one process"
        )
        assert "batch_size=1, accumulate=1, 2 processes" in found["batch_size"]


def test_one_process_communicates_nothing() -> None:
    assert join(torch.device("cpu"), TrainParams()) == World(0, 1)
    assert not torch.distributed.is_initialized()
    assert (rank_of({}), rank_of({"RANK": "3"})) == (0, 3)


def test_too_many_processes_are_refused_before_they_meet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "9")
    with pytest.raises(TrainingError, match="9 processes"):
        join(torch.device("cpu"), TrainParams(batch_size=8))
