"""A network trained with a permuted feature map: who has the key, who has not, and what is kept."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from seglock.config import RefusedShares, RefuseParams
from seglock.data import PreparedData
from seglock.evaluation import judge_lock
from seglock.keys import demonstration_key
from seglock.models import feature_maps, load_model, read_weights
from seglock.tracking import MemoryTracker
from seglock.training import TrainJob, TrainResult, train
from seglock.transforms import Unauthorised, compose, incorrect_transforms
from tests.attacks.scene import splits
from tests.training.small import CLASSES, digest_of, small_data, small_job, small_params

KEY = demonstration_key()
STEPS = ["chp-block2"]


def job(folder: Path, steps: list[str] = STEPS, *, refuse: bool = False, **recipe: Any) -> TrainJob:
    params = small_params({"width": 24}, **recipe)
    right = compose(steps, KEY, channels=feature_maps(params.model))
    made = small_job(folder, params, transform=right, data=small_data())
    if not refuse:
        return made
    shares = RefusedShares(plain=0.4, wrong=0.3, near=0.3)
    return replace(
        made, unauthorised=Unauthorised(right, KEY, RefuseParams(weight=0.3, shares=shares))
    )


def trained(one: TrainJob) -> TrainResult:
    return train(one, tracker=MemoryTracker(), progress=False)


def test_the_right_key_works_and_no_other_does(tmp_path: Path) -> None:
    """0.77 with the key, 0.35 without one, 0.30 with new statistics, 0.39 at most with others."""
    train_split, val, test = splits(32, 24)
    data = PreparedData(Path(), "synthetic", CLASSES, 32, "0" * 64, train_split, val, test)
    one = replace(job(tmp_path, epochs=12, batch_size=16, lr=0.2), data=data)
    network = load_model(trained(one).weights, one.params.model, data.num_classes)
    scores = judge_lock(
        network, data, one.params, test=test, unlabelled=val.images, transform=one.transform,
        wrong=incorrect_transforms(STEPS, KEY, 5, channels=feature_maps(one.params.model)),
    ).scores  # fmt: skip
    assert scores.incorrect is not None
    assert scores.plain_bn is not None
    assert scores.owner_miou > 0.65
    assert scores.plain.miou < scores.owner_miou - 0.2
    assert scores.plain_bn.miou < scores.owner_miou - 0.2
    assert scores.incorrect.max < scores.owner_miou - 0.2


@pytest.mark.parametrize("steps", [STEPS, ["np-4", *STEPS]], ids="+".join)
def test_a_stopped_training_goes_on_bit_for_bit(tmp_path: Path, steps: list[str]) -> None:
    recipe: dict[str, Any] = {"reestimate_batch_norm": True, "average": 0.5, "refuse": True}
    whole = trained(job(tmp_path / "a", steps, **recipe))

    def stop(row: Any) -> None:
        if row["epoch"] == 1:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        train(job(tmp_path / "b", steps, **recipe), tracker=MemoryTracker(), progress=False,
              on_epoch=stop)  # fmt: skip
    resumed = trained(job(tmp_path / "b", steps, **recipe))
    assert resumed.resumed_from == 1
    assert resumed.history == whole.history
    assert digest_of(resumed.weights) == digest_of(whole.weights)


def test_the_file_has_what_that_of_a_plain_network_has(tmp_path: Path) -> None:
    locked = read_weights(trained(job(tmp_path / "a")).weights)
    plain = read_weights(trained(job(tmp_path / "b", [], epochs=1)).weights)
    assert locked.keys() == plain.keys()
    assert {n: t.shape for n, t in locked.items()} == {n: t.shape for n, t in plain.items()}
