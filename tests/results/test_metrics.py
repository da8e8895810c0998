"""A figure has one name in MLflow, whether a run of the pipeline or a study's trial measured it."""

from __future__ import annotations

import math
from typing import Any

import pytest

from seglock.results.evaluation import Floors, KeyScores, Score, Scores
from seglock.results.metrics import (
    access_metrics,
    attack_metrics,
    epoch_metrics,
    evaluation_metrics,
    training_metrics,
    trial_metrics,
)
from seglock.results.trial import BaselineRecord
from seglock.search.executor import TrialResult
from seglock.search.measured import measured_values

ATTACK = {"tier": "T1", "miou": 0.4, "regained": 0.5, "plan_found": 0, "seconds": 2.0, "queries": 7}
BASELINE = BaselineRecord(epochs=4, image_side=16, seeds=(0,), owner_miou=(0.8,), floor=0.25)
FLOORS = Floors(constant=0.25, prior=0.2, floor=0.25)
KEYS = KeyScores(keys=3, mean=0.2, std=0.1, p95=0.29, max=0.3, min=0.1, miou=(0.1, 0.2, 0.3))
TRIALS_OWN = {"drop", "seconds"}


def score(miou: float) -> Score:
    iou = {"background": miou, "cat": None}
    return Score(miou=miou, iou=iou, per_image_mean=miou / 2)


def scores(owner: float, **found: Any) -> dict[str, Any]:
    result = Scores.of(FLOORS, score(0.3), score(owner), score(0.35), KEYS)
    return result.document() | found


def told(owner: float) -> tuple[dict[str, float], dict[str, float]]:
    """The same figures, of a run of the pipeline and of a trial."""
    found = scores(owner, attacks={"labels": ATTACK})
    result = TrialResult("trial-0-1", found, (), None, "id", "hash", 40.0, 2, 3.0, 1.0, "cpu", "w")
    trial = measured_values(result, BASELINE, None)
    return evaluation_metrics({"scores": found, "key_space_bits": 40.0}), trial_metrics(trial)


@pytest.mark.parametrize("owner", [0.75, 0.2])
def test_a_lock_and_a_trial_with_the_same_figures_line_up(owner: float) -> None:
    lock, trial = told(owner)
    shared = {name for name in trial if not name.startswith("attack/")} - TRIALS_OWN
    assert shared <= set(lock)
    assert {name: lock[name] for name in shared} == {name: trial[name] for name in shared}
    assert trial["owner/miou"] == owner
    assert trial["drop"] == pytest.approx(0.8 - owner)
    assert (trial["regained"] == 1.0) == (owner < 0.25)  # no lead is left that could be regained
    assert trial["attack/labels/miou"] == 0.4
    assert "attack/labels/tier" not in trial


def test_an_open_network_is_everyones_and_has_the_names_of_locks() -> None:
    plain = Scores.of(FLOORS, score(0.8)).document()
    lock = evaluation_metrics({"scores": plain, "key_space_bits": None})
    trial = access_metrics({"owner_miou": 0.8, "floor": 0.25, "seconds": 3.0})
    assert lock["unauthorised"] == trial["unauthorised"] == lock["plain/miou"] == 0.8
    assert lock["regained"] == trial["regained"] == 1.0
    assert set(trial) - TRIALS_OWN <= set(lock)
    assert "key_space_bits" not in lock


def test_each_access_says_how_often_it_is_refused() -> None:
    accesses = [score(miou).model_copy(update={"refused": miou}) for miou in (0.3, 0.8, 0.4)]
    keys = KEYS.model_copy(update={"refused": 0.5})
    lock = {"scores": Scores.of(FLOORS, *accesses, keys).document(), "key_space_bits": 40.0}
    told = {k: v for k, v in evaluation_metrics(lock).items() if k.endswith("refused")}
    assert told == {
        "refused": 0.3,
        "plain/refused": 0.3, "correct/refused": 0.8, "plain_bn/refused": 0.4,
        "incorrect/refused": 0.5,
    }  # fmt: skip
    lock["scores"] = scores(0.75)
    assert not {name for name in evaluation_metrics(lock) if "refused" in name}
    assert attack_metrics("plain", {"refused": 1.0}) == {"attack/plain/refused": 1.0}


def test_a_trial_that_was_stopped_has_no_objectives() -> None:
    result = TrialResult("trial-0-1", None, (), 2, "id", "hash", 40.0, None, 3.0, 0.0, "cpu", "w")
    measured = measured_values(result, BASELINE, {"rule": "behind", "epoch": 2, "reason": "x"})
    assert trial_metrics({"attacks": None, **measured}) == {
        "floor/miou": 0.25, "key_space_bits": 40.0, "seconds": 3.0
    }  # fmt: skip


def test_a_curve_keeps_what_is_not_finite_and_leaves_out_what_is_missing() -> None:
    row = {"epoch": 1, "lr": 0.1, "train_loss": math.inf, "val_loss": math.nan, "val_miou": None}
    told = epoch_metrics(row)
    assert list(told) == ["lr", "train/loss", "val/loss"]
    assert math.isnan(told["val/loss"])
    training = {"best_epoch": 2, "seconds": 1.5, "val_loss": 0.5, "val_miou": 0.6, "lock": "np-4"}
    assert set(training_metrics(training)) == {
        "best_epoch", "train/seconds", "kept/val_loss", "kept/val_miou"
    }  # fmt: skip
