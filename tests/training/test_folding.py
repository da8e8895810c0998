"""Who gets what from a trained network that a key was folded into."""

from __future__ import annotations

import copy
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

import seglock
from seglock.errors import ModelError
from seglock.files import write_json
from seglock.keys import demonstration_key
from seglock.models import build_model, save_weights
from seglock.tracking import MemoryTracker
from seglock.training import TrainJob, fold, fold_only, train
from seglock.transforms import compose, identity
from tests.attacks.scene import KEY, fit, scene, splits
from tests.training.small import CLASSES, digest_of, small_job, small_params


def test_the_owner_loses_nothing_and_others_have_next_to_nothing() -> None:
    made = scene("np-2", "shf-2", side=32, count=24)
    fit(made.network, identity(), splits(32, 24)[0], 12)
    plain = made.judge().answers(None).miou
    folded = copy.deepcopy(made.network.eval())
    seglock.fold(folded, made.transform)
    judge = replace(made, network=folded).judge()
    assert judge.correct() == pytest.approx(plain, abs=1e-4)
    wrong = [compose(["np-2", "shf-2"], KEY.wrong(i))._plan for i in range(5)]
    left = [judge.answers(plan).miou for plan in (None, *wrong)]
    assert max(left) < plain / 2


class StoppedError(Exception):
    """A training that was stopped after an epoch."""


def stop(row: object) -> None:
    raise StoppedError


def test_a_folded_start_that_was_stopped_ends_with_the_same_weights(tmp_path: Path) -> None:
    lock = compose(["np-2", "shf-2"], demonstration_key())
    start = build_model(small_params().model, len(CLASSES))
    save_weights(tmp_path / "weights/weights.safetensors", start)
    write_json(tmp_path / "weights/weights.json", {"source": "file"})

    def job(name: str) -> TrainJob:
        return small_job(
            tmp_path / name,
            transform=lock,
            weights=tmp_path / "weights",
            fold=partial(fold, lock=lock),
        )

    whole = train(job("whole"), tracker=MemoryTracker(), progress=False)
    with pytest.raises(StoppedError):
        train(job("stopped"), tracker=MemoryTracker(), progress=False, on_epoch=stop)
    again = train(job("stopped"), tracker=MemoryTracker(), progress=False)
    assert again.resumed_from == 1
    assert digest_of(again.weights) == digest_of(whole.weights)


def test_only_whole_networks_are_folded_only(tmp_path: Path) -> None:
    save_weights(tmp_path / "weights.safetensors", build_model(small_params().model, 5))
    write_json(tmp_path / "weights.json", {"source": "file"})
    with pytest.raises(
        ModelError, match="needs the initial weights of a whole network, got none for"
    ):
        fold_only(small_job(tmp_path / "job", weights=tmp_path))
