from __future__ import annotations

import csv
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from seglock.errors import StorageError
from seglock.results.metrics import study_metrics
from seglock.results.study import Study
from seglock.results.study_files import write_study_files
from seglock.results.trial import BaselineRecord, TrialRecord
from seglock.search.measured import trial_record
from seglock.search.outcome import asked_in_all, study_of
from seglock.search.point import Point
from seglock.search.space import grid
from tests.search.project import small_params
from tests.search.records import EPOCHS, FLOOR, PLAIN, SIDE, make_baseline, make_stopped, make_trial

TRIALS = (
    make_trial(0, 0.59, 0.11, key_id="0011223344556677"),
    make_trial(1, 0.50, 0.30, steps=("np-4", "shf-4")),
    make_stopped(2, "behind", epoch=4, step="np-8"),
    make_trial(3, state="failed", owner=None, reason="the loss is not finite"),
    make_trial(4, 0.55, 0.05, step="shf-4"),
)


ABOUT = {
    "dataset": "synthetic", "image_side": SIDE, "classes": ["a", "b", "c"], "model": "fcn_small",
    "split": "val", "epochs": EPOCHS,
}  # fmt: skip
BASELINES = (make_baseline(PLAIN, PLAIN, epochs=9), make_baseline())


def outcome(
    trials: tuple[TrialRecord, ...] = TRIALS,
    baselines: tuple[BaselineRecord, ...] = BASELINES,
    *,
    search: dict[str, Any] | None = None,
    running: int = 1,
    seconds: float | None = 12.5,
) -> Study:
    values = {"trials": 6, "max_drop": 0.02, "max_regained": 0.15} | (search or {})
    return study_of(
        small_params(search=values), ABOUT, baselines, trials, running=running, seconds=seconds,
        study="tradeoff-0a1b2c3d", storage="study.db", run_id="a" * 32,
    )  # fmt: skip


def test_the_document_says_what_follows_from_the_records() -> None:
    document = outcome().document()

    assert document["counts"] == {"complete": 3, "stopped": 1, "failed": 1, "running": 1}
    assert document["front"] == [0, 4]
    assert document["recommendation"]["trial"] == 0
    assert document["recommendation"]["status"] == "recommended"
    assert document["early_stopping"] == {"stopped": 1, "epochs_saved": 2, "epochs_full": 24}
    assert document["limits"] == {"max_drop": 0.02, "max_regained": 0.15, "min_key_bits": 64.0}
    assert list(document["importances"]) == ["owner_miou", "unauthorised"]
    assert document["importances_reason"] is None
    assert document["asked"] == 6


def test_what_the_command_took_is_in_no_file(tmp_path: Path) -> None:
    for seconds in (12.5, None):
        write_study_files(outcome(seconds=seconds), tmp_path / str(seconds))
    for path in (tmp_path / "12.5").iterdir():
        assert path.read_bytes() == (tmp_path / "None" / path.name).read_bytes(), path.name


SPACE = {"steps": ["shf", "np"], "block_size": [2, 4]}


def grid_records(*names: str) -> list[TrialRecord]:
    params = small_params(search={"space": SPACE})
    points = {point.lock: point for point in grid(params)}
    return [
        trial_record(number, "complete", {"point": asdict(points[name])})
        for number, name in enumerate(names)
    ]


@pytest.mark.parametrize(
    ("search", "done", "asked"),
    [
        ({}, [], 4),
        ({}, ["shf-2", "np-4"], 4),
        ({}, ["shf-2", "shf-4", "np-2", "np-4"], 4),
        ({"trials": 3}, ["shf-2"], 3),
        ({"trials": 1}, ["shf-2", "np-4"], 2),  # earlier commands asked for more
        ({"enqueue": ["np-4-f50", "ffx-8"]}, ["np-4"], 5),  # np-4-f50 is np-4
        ({}, ["shf-2", "shf-2", "shf-2"], 6),  # the same lock under other keys
        ({"sampler": "tpe"}, ["shf-2"], 30),
        ({"sampler": "tpe", "trials": 1}, ["shf-2", "np-4"], 2),
    ],
)
def test_how_many_trials_a_study_shall_have(
    search: dict[str, object], done: list[str], asked: int
) -> None:
    params = small_params(search={"sampler": "grid", "trials": 30, "space": SPACE} | search)
    assert asked_in_all(params, grid_records(*done)) == asked


def test_the_document_has_both_hypervolumes_after_each_trial() -> None:
    found = outcome().document()["hypervolume"]

    assert found["floor"]["reference"] == [FLOOR, FLOOR]
    assert found["baseline"]["reference"] == [FLOOR, pytest.approx(PLAIN)]
    assert [number for number, _ in found["floor"]["values"]] == [0, 1, 2, 3, 4]
    assert found["floor"]["values"][0] == [0, 0.0]
    assert found["floor"]["values"][-1][1] == pytest.approx((0.55 - 0.1) * (0.1 - 0.05))
    assert found["baseline"]["values"][0][1] == pytest.approx((0.59 - 0.1) * (0.6 - 0.11))


def test_the_hypervolume_is_measured_from_the_baselines_of_params_own_cost() -> None:
    other = make_baseline(0.8, image_side=128)

    def reference(**changes) -> list[float]:
        return outcome(**changes).document()["hypervolume"]["baseline"]["reference"]

    assert reference(baselines=(other, make_baseline())) == [FLOOR, pytest.approx(PLAIN)]
    assert reference(baselines=(other,)) == [FLOOR, 0.8]


def test_the_study_is_written_and_read_by_one_class(tmp_path: Path) -> None:
    write_study_files(outcome(), tmp_path)
    found = Study.read(tmp_path / "study.json")
    assert found == outcome(seconds=None)
    assert found.trials == TRIALS
    found.write(tmp_path / "again.json")
    assert (tmp_path / "again.json").read_bytes() == (tmp_path / "study.json").read_bytes()


def test_a_study_without_a_trial_is_a_document_too(tmp_path: Path) -> None:
    nothing = outcome((), (), running=0, seconds=None)

    document = nothing.document()
    write_study_files(nothing, tmp_path)

    assert document["recommendation"]["status"] == "empty"
    assert document["hypervolume"]["floor"] == {"reference": None, "values": []}
    assert document["importances"] is None
    assert document["importances_reason"] == "no trial has ended yet"
    assert (tmp_path / "hypervolume.csv").read_text() == "trial,floor,baseline\n"
    assert study_metrics(nothing)["study/front"] == 0
    assert json.loads((tmp_path / "metrics.json").read_text()) == {}


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_outputs_are_five_files_that_agree(tmp_path: Path) -> None:
    write_study_files(outcome(), tmp_path / "search")

    folder = tmp_path / "search"
    assert sorted(path.name for path in folder.iterdir()) == [
        "front.csv",
        "hypervolume.csv",
        "metrics.json",
        "study.json",
        "trials.csv",
    ]
    document = outcome().document()
    assert json.loads((folder / "study.json").read_text()) == document
    trials = rows(folder / "trials.csv")
    assert [row["number"] for row in trials] == ["0", "1", "2", "3", "4"]
    assert trials[0]["key_id"] == "0011223344556677"
    assert trials[1]["steps"] == "np-4 shf-4"
    assert float(trials[0]["drop"]) == TRIALS[0].drop
    assert trials[2]["owner_miou"] == ""
    assert (trials[2]["stopped_rule"], trials[2]["stopped_epoch"]) == ("behind", "4")
    assert trials[3]["reason"] == "the loss is not finite"
    assert [row["number"] for row in rows(folder / "front.csv")] == ["0", "4"]
    history = rows(folder / "hypervolume.csv")
    assert (
        float(history[-1]["floor"]) == outcome().document()["hypervolume"]["floor"]["values"][-1][1]
    )
    metrics = json.loads((folder / "metrics.json").read_text())
    assert list(metrics) == ["owner", "drop", "unauthorised", "regained"]
    assert metrics["owner"] == study_metrics(outcome())["access/owner"]


def test_a_trial_that_something_else_changed_is_one_message() -> None:
    (record,) = grid_records("np-4")
    values = {"point": asdict(Point.of(record)), "measured": {"owner_miou": "high"}}
    with pytest.raises(StorageError, match=r"trial 7 of the study .* owner_miou: .*search\.study"):
        trial_record(7, "complete", values)


def test_every_field_of_a_record_is_in_the_table_but_curve_and_attacks(tmp_path: Path) -> None:
    write_study_files(outcome(), tmp_path)

    columns = set(rows(tmp_path / "trials.csv")[0])
    left_out = {"stopped", "curve", "attacks"}
    expected = set(TrialRecord.model_fields) - left_out
    assert columns == expected | {"stopped_rule", "stopped_epoch"}


def test_the_metrics_are_numbers_with_those_of_the_recommended_lock() -> None:
    found = study_metrics(outcome())

    assert found["study/complete"] == 3
    assert found["study/front"] == 2
    assert found["study/hypervolume"] == outcome().hypervolume.baseline.values[-1][1]
    assert found["access/owner"] == 0.59
    assert found["access/regained"] == TRIALS[0].regained
    assert all(isinstance(value, int | float) for value in found.values())


def test_without_a_recommended_lock_the_metrics_name_none() -> None:
    strict = outcome(search={"max_drop": 0, "max_regained": 0})

    assert not [name for name in study_metrics(strict) if name.startswith("access/")]
