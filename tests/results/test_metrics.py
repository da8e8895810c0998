"""A figure has one name in MLflow, whether a run of the pipeline or a study's trial measured it."""

from __future__ import annotations

import math
from typing import Any

import pytest

from seglock.results.evaluation import Evaluation, Floors, KeyScores, Score, Scores
from seglock.results.metrics import (
    access_metrics,
    epoch_metrics,
    lock_metrics,
    training_metrics,
    trial_metrics,
)
from seglock.results.standing import LockLimits, LockStanding
from seglock.results.training import Training
from seglock.results.trial import BaselineRecord, TrialRecord
from seglock.search.executor import TrialResult
from seglock.search.measured import measured_values
from tests.search.records import make_trial

ATTACK = {"tier": "T1", "miou": 0.4, "regained": 0.5, "scratch_miou": 0.3, "queries": 7}
BASELINE = BaselineRecord(epochs=4, image_side=16, seeds=(0,), owner_miou=(0.8,), floor=0.25)
FLOORS = Floors(constant=0.25, prior=0.2, floor=0.25)
KEYS = KeyScores(keys=3, mean=0.2, std=0.1, p95=0.29, max=0.3, min=0.1, miou=(0.1, 0.2, 0.3))
LIMITS = LockLimits()


def score(miou: float) -> Score:
    return Score(miou=miou, iou={"background": miou, "cat": None}, refused=miou)


def evaluation(scores: Scores, **values: Any) -> Evaluation:
    about = {
        "lock": "np-4", "method": "np", "steps": ("np-4",), "dataset": "x", "classes": ("a",),
        "image_side": 16, "model": "fcn_small", "seed": 0, "key_space_bits": 40.0,
    }  # fmt: skip
    return Evaluation(**about | values, scores=scores)


def told(owner: float) -> tuple[dict[str, float], dict[str, float]]:
    """The same figures, of a run of the pipeline and of a trial."""
    scores = Scores.of(FLOORS, score(0.3), score(owner), score(0.35), KEYS)
    found = scores.document() | {"attacks": {"labels": ATTACK}}
    result = TrialResult("trial-0-1", found, (), None, "id", "hash", 40.0, 2, 3.0, 1.0, "cpu", "w")
    measured = measured_values(result, BASELINE, None)
    values = make_trial(0).document() | measured
    lock = evaluation(scores)
    standing = LockStanding.of(lock, [], 0.8 - owner, LIMITS)
    trial = TrialRecord.check(values)
    return lock_metrics(lock, 0.8 - owner, standing), trial_metrics(trial, LIMITS)


@pytest.mark.parametrize("owner", [0.75, 0.2])
def test_a_lock_and_a_trial_with_the_same_figures_line_up(owner: float) -> None:
    lock, trial = told(owner)
    attacked = {"access/strongest_T1", "access/beyond_scratch"}
    assert set(trial) - attacked == set(lock) - {"access/refused"} | {"access/refused"} & set(trial)
    assert {n: trial[n] for n in lock if n in trial} == {n: lock[n] for n in lock if n in trial}
    assert trial["access/owner"] == owner
    assert trial["access/drop"] == pytest.approx(0.8 - owner)
    assert (trial["access/regained"] == 1.0) == (owner < 0.25)  # no lead is left to be regained
    assert trial["access/strongest_T1"] == 0.5
    assert trial["access/beyond_scratch"] == pytest.approx(0.1)
    assert not [name for name in (*lock, *trial) if not name.startswith("access/")]


def test_an_open_network_is_everyones_and_has_the_names_of_locks() -> None:
    lock = lock_metrics(evaluation(Scores.of(FLOORS, score(0.8)), key_space_bits=None), None, None)
    trial = access_metrics({"owner_miou": 0.8, "floor": 0.25})
    assert lock["access/unauthorised"] == trial["access/unauthorised"] == 0.8
    assert lock["access/regained"] == trial["access/regained"] == 1.0
    assert set(trial) <= set(lock)
    assert not {"access/key_bits", "access/drop"} & set(lock)


def test_a_trial_that_was_stopped_has_no_objectives() -> None:
    stopped = make_trial(0, None, None, state="stopped", floor=0.25, key_space_bits=40.0)
    assert trial_metrics(stopped, LIMITS) == {"access/floor": 0.25, "access/key_bits": 40.0}


def test_a_curve_keeps_what_is_not_finite_and_leaves_out_what_is_missing() -> None:
    row = {"epoch": 1, "lr": 0.1, "train_loss": math.inf, "val_loss": math.nan, "val_miou": None}
    found = epoch_metrics(row)
    assert list(found) == ["val/loss", "train/loss", "train/lr"]
    assert math.isnan(found["val/loss"])
    training = Training(
        run_id="0" * 32, best_epoch=2, epochs=3, val_loss=0.5, val_miou=0.6, weights_sha256="",
        key_id=None,
    )  # fmt: skip
    assert training_metrics(training) == {
        "kept/epoch": 2, "kept/val_loss": 0.5, "kept/val_miou": 0.6
    }  # fmt: skip
