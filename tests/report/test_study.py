"""study.json is read as it was written, and refused where it is damaged."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from seglock.errors import ReportError
from seglock.report.method_style import method_looks, trial_labels
from seglock.results.study import STUDY_FILE, Study, read_study_file, require_same_data
from tests.report.studies import make_study, pareto


def write(root: Path, values: Any) -> Path:
    path = root / STUDY_FILE
    path.parent.mkdir(parents=True)
    path.write_text(values if isinstance(values, str) else json.dumps(values), encoding="utf-8")
    return path


def test_a_study_is_read_with_its_front_in_order(tmp_path: Path) -> None:
    values = make_study()
    write(tmp_path, values)
    study = read_study_file(tmp_path)
    assert study is not None
    assert [trial.number for trial in study.trials] == list(range(20))
    assert len(study.measured) == 16
    thieves = [found.unauthorised for found in study.front_trials]
    assert thieves == sorted(thieves)
    assert {found.trial.number for found in study.front_trials} == set(pareto(values["trials"]))


def test_no_file_and_no_trial_are_no_study(tmp_path: Path) -> None:
    assert read_study_file(tmp_path) is None
    write(tmp_path, make_study(count=0))
    assert read_study_file(tmp_path) is None


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"front": [99]}, "no complete trial 99"),
        ({"front": [11]}, "no complete trial 11"),  # it was stopped
        ({"limits": {"max_drop": 0.02}}, "limits.max_regained"),
        ({"recommendation": {"status": "maybe", "reason": ""}}, "recommendation.status"),
    ],
)
def test_a_damaged_study_names_the_fault_and_the_stage(
    tmp_path: Path, changes: dict[str, Any], fault: str
) -> None:
    path = write(tmp_path, make_study(**changes))
    with pytest.raises(ReportError) as raised:
        read_study_file(tmp_path)
    for part in (str(path), fault, "run dvc repro search"):
        assert part in str(raised.value)


def test_a_file_that_is_no_json_is_refused(tmp_path: Path) -> None:
    write(tmp_path, "{")
    with pytest.raises(ReportError, match="run dvc repro search"):
        read_study_file(tmp_path)


def test_a_study_of_other_data_is_refused() -> None:
    study = Study.check(make_study())
    require_same_data(study, "d" * 64)
    require_same_data(study, None)
    with pytest.raises(ReportError, match="run dvc repro search"):
        require_same_data(study, "e" * 64)


def test_the_baseline_is_that_of_the_project_s_own_cost() -> None:
    values = make_study()
    (own,) = values["baselines"]
    values["baselines"] = [own | {"epochs": 24, "owner_miou": [0.9]}, own]
    assert Study.check(values).baseline == Study.check(make_study()).baseline
    values["baselines"] = [own | {"epochs": 24, "owner_miou": [0.9]}]
    baseline = Study.check(values).baseline
    assert baseline is not None
    assert baseline.mean == 0.9


def test_trials_that_differ_in_their_keys_alone_are_the_same_lock() -> None:
    values = make_study()
    first = values["trials"][4]
    for number, changes in ((6, {}), (8, {"lr": 0.1}), (11, {})):  # 11 was stopped
        same = {name: first[name] for name in ("lock", "steps", "method", "block_size", "lr")}
        values["trials"][number] |= same | changes
    study = Study.check(values)
    assert [found.trial.number for found in study.same_lock(4)] == [4, 6]
    assert [found.trial.number for found in study.same_lock(8)] == [8]
    assert study.same_lock(99) == []


def test_methods_look_the_same_in_every_study() -> None:
    all_looks = method_looks(Study.check(make_study()).trials)
    assert list(all_looks) == ["shf", "np", "ffx", "np+shf"]
    assert len({look.marker for look in all_looks.values()}) == 4
    assert len({look.colour for look in all_looks.values()}) == 4
    few = [t for t in Study.check(make_study()).trials if t.method in ("np", "np+shf")]
    assert method_looks(few) == {name: all_looks[name] for name in ("np", "np+shf")}


def test_a_lock_tried_twice_is_told_apart_by_its_trial() -> None:
    values = make_study()
    first, second = values["front"][:2]
    for trial in values["trials"]:
        if trial["number"] in (first, second):
            trial |= {"lock": "np-2", "steps": ["np-2"]}
    labels = trial_labels(Study.check(values))
    assert labels[first] == f"np-2 (trial {first})"
    assert labels[second] == f"np-2 (trial {second})"
