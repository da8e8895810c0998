"""The stage search: what it writes, which executor it takes, and the lock it applies."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from seglock.config import RefuseParams, check_params, load_params
from seglock.errors import BusyError, ConfigError, DataError
from seglock.results.study import Study, read_study_file
from seglock.stages import search as stage
from seglock.stages.apply import apply_recommendation
from seglock.stages.outputs import sole_writer
from seglock.stages.search import SEARCH_FOLDER, run_study, search_params, show_study, write_study
from tests.e2e.project import ROOT
from tests.report.outcomes import make_outcome
from tests.search.project import VALUES, make_root
from tests.search.small_study import not_judged

SEARCH: dict[str, Any] = {
    "trials": 2,
    "baseline_seeds": 1,
    "enqueue": ["np-4"],
    "space": {"steps": ["shf"], "block_size": [4], "fraction": ["published", 25]},
}


def write_params(root: Path, **search: Any) -> None:
    values = VALUES | {"search": SEARCH | search}
    with (root / "params.yaml").open("w", encoding="utf-8") as file:
        YAML(typ="safe").dump(values, file)


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small project whose study has been run, two trials of three epochs."""
    root = tmp_path_factory.mktemp("searched")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        patch.delenv("DVC_ROOT", raising=False)
        make_root(root)
        write_params(root)
        run_study(root)
    return root


@pytest.fixture
def here(searched: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(searched)
    return searched


def declared() -> set[str]:
    """The outputs that dvc.yaml names for the stage."""
    pipeline = YAML(typ="safe").load((ROOT / "dvc.yaml").read_text())["stages"]["search"]
    parts = [*pipeline["outs"], *pipeline["metrics"], *pipeline["plots"]]
    return {Path(next(iter(part)) if isinstance(part, dict) else part).name for part in parts}


def lines_of(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()


def names(root: Path) -> set[str]:
    return {path.name for path in (root / SEARCH_FOLDER).iterdir()}


def test_the_outputs_are_those_that_dvc_yaml_names(here: Path) -> None:
    assert names(here) == declared()
    study = read_study_file(here)
    assert study is not None
    assert study.trials[0].lock == "np-4"
    assert len(study.trials) == 2
    rows = list(csv.DictReader(lines_of(here / SEARCH_FOLDER / "trials.csv")))
    assert [row["lock"] for row in rows] == [trial.lock for trial in study.trials]


def test_the_plot_s_columns_are_those_that_dvc_yaml_names(here: Path) -> None:
    pipeline = YAML(typ="safe").load((ROOT / "dvc.yaml").read_text())["stages"]["search"]
    (plot,) = pipeline["plots"]
    ((path, axes),) = plot.items()
    (header, *_) = csv.reader(lines_of(here / path))
    assert {axes["x"], axes["y"]} <= set(header)


def test_a_study_that_is_done_computes_nothing_again(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {path.name: path.read_bytes() for path in (here / SEARCH_FOLDER).iterdir()}
    monkeypatch.setattr("seglock.search.in_process.run_trial", None)
    assert run_study(here).seconds is not None
    after = {path.name: path.read_bytes() for path in (here / SEARCH_FOLDER).iterdir()}
    # Else DVC would see another output, and make it and the report again.
    assert [name for name in before if after[name] != before[name]] == []
    assert after.keys() == before.keys() == declared()


def test_showing_changes_nothing(here: Path) -> None:
    before = {p: p.stat().st_mtime_ns for p in here.rglob("*") if p.is_file()}
    assert len(show_study(here, overrides={"max_drop": 0.5}).trials) == 2
    after = {p: p.stat().st_mtime_ns for p in here.rglob("*") if p.is_file()}
    assert after == before


def test_without_trials_the_declared_files_are_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    make_root(tmp_path)
    write_params(tmp_path, trials=0)
    outcome = run_study(tmp_path)
    assert outcome.recommendation.status == "empty"
    assert names(tmp_path) == declared()
    assert read_study_file(tmp_path) is None
    assert not (tmp_path / ".seglock/search").exists()
    assert not (tmp_path / "mlruns").exists()


def test_a_failed_write_leaves_the_outputs_as_they_were(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_study(make_outcome(), tmp_path)
    before = {p.name: p.read_bytes() for p in (tmp_path / SEARCH_FOLDER).iterdir()}

    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("boom")

    monkeypatch.setattr("seglock.report.searchcharts.draw_hypervolume", fail)
    with pytest.raises(RuntimeError, match="boom"):
        write_study(make_outcome(count=3), tmp_path)
    assert {p.name: p.read_bytes() for p in (tmp_path / SEARCH_FOLDER).iterdir()} == before


def test_two_studies_do_not_write_at_once(tmp_path: Path) -> None:
    with sole_writer(tmp_path, "search"), pytest.raises(BusyError, match="data/search"):
        write_study(make_outcome(), tmp_path)


def test_study_json_is_what_the_report_reads(tmp_path: Path) -> None:
    for count in (0, 20):
        outcome = make_outcome(count=count)
        study = Study.check(json.loads(json.dumps(outcome.document())))
        assert study == outcome.model_copy(update={"seconds": None})
        front = [found.trial.number for found in reversed(study.front_trials)]
        assert front == list(outcome.front)


def test_overrides_are_checked_by_the_same_rules(tmp_path: Path) -> None:
    write_params(tmp_path)
    assert search_params(tmp_path, {"max_drop": 0.5}).search.max_drop == 0.5
    with pytest.raises(ConfigError, match="did you mean 'tpe'"):
        run_study(tmp_path, overrides={"sampler": "tpee"})
    with pytest.raises(ConfigError, match=r"search\.workers"):
        run_study(tmp_path, overrides={"workers": 0})


def test_without_data_the_stage_to_run_is_named(tmp_path: Path) -> None:
    write_params(tmp_path)
    with pytest.raises(DataError, match="run `dvc repro prepare`"):
        run_study(tmp_path)


@pytest.mark.parametrize(
    ("workers", "ray", "expected"),
    [
        (1, None, "InProcessExecutor"),
        (3, None, "LocalExecutor 3"),
        (1, "10.0.0.1:6379", "RayExecutor 10.0.0.1:6379 None"),
        (8, "auto", "RayExecutor auto 8"),
    ],
)
def test_where_trials_are_computed(
    here: Path,
    monkeypatch: pytest.MonkeyPatch,
    workers: int,
    ray: str | None,
    expected: str,
) -> None:
    made: list[str] = []
    monkeypatch.setattr(
        "seglock.search.in_process.InProcessExecutor",
        lambda scratch: made.append("InProcessExecutor"),
    )
    monkeypatch.setattr(
        "seglock.search.workers.LocalExecutor",
        lambda workers, scratch, resources: made.append(f"LocalExecutor {workers}"),
    )
    monkeypatch.setattr(
        "seglock.search.cluster.RayExecutor",
        lambda address, resources, limit, storage: made.append(f"RayExecutor {address} {limit}"),
    )
    stage._executor(search_params(here, {"workers": workers}), here, ray)
    assert made == [expected]


PARAMS = "# kept\nlocks:\n  baseline: {steps: []}  # plain\n"


@pytest.fixture
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seglock.search.outcome.importances", not_judged)


@pytest.mark.usefixtures("cheap")
def test_the_recommended_lock_is_written_once(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(PARAMS)
    outcome, params = make_outcome(), load_params(path)
    applied = apply_recommendation(outcome, params, tmp_path)
    assert (applied.name, applied.added) == ("np-2_shf-2", True)
    assert path.read_text().startswith(PARAMS)
    assert load_params(path).locks["np-2_shf-2"].steps == ["np-2", "shf-2"]
    text = path.read_text()
    assert not apply_recommendation(outcome, params, tmp_path).added
    assert path.read_text() == text


@pytest.mark.usefixtures("cheap")
def test_other_values_of_the_trial_are_told_and_not_written(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text(PARAMS)
    params = check_params(
        {
            "locks": {"baseline": {"steps": []}},
            "data": {"image_side": 32},
            "train": {"epochs": 12, "lr": 0.2, "weight_decay": 0.0005},
        }
    )
    outcome = make_outcome(lr=0.05)
    assert apply_recommendation(outcome, params, tmp_path).recipe == (("train.lr", 0.2, 0.05),)
    assert load_params(tmp_path / "params.yaml").train.lr != 0.05
    assert apply_recommendation(make_outcome(), params, tmp_path).recipe == ()


@pytest.mark.usefixtures("cheap")
def test_the_study_s_ffx_password_goes_with_the_lock(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text(PARAMS)
    params = search_params(tmp_path, {"space": {"ffx_password": "fixed"}})
    apply_recommendation(make_outcome(), params, tmp_path)
    lock = load_params(tmp_path / "params.yaml").locks["np-2_shf-2"]
    assert lock.ffx_password == "fixed"


@pytest.mark.usefixtures("cheap")
@pytest.mark.parametrize(
    ("search", "status"), [({"max_regained": 0.01}, "none"), ({"max_drop": 0.01}, "undecided")]
)
def test_without_a_recommendation_nothing_is_applied(
    tmp_path: Path, search: dict[str, Any], status: str
) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(PARAMS)
    outcome = make_outcome(search=search)
    assert outcome.recommendation.status == status
    with pytest.raises(ConfigError) as raised:
        apply_recommendation(outcome, load_params(path), tmp_path)
    assert f"got {status}: {outcome.recommendation.reason}" in str(raised.value)
    assert path.read_text() == PARAMS


@pytest.mark.usefixtures("cheap")
def test_the_weight_of_a_refusal_goes_with_the_lock(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text(PARAMS)
    params = load_params(tmp_path / "params.yaml")
    applied = apply_recommendation(make_outcome(refuse=0.1), params, tmp_path)
    assert (applied.name, applied.refuse) == ("np-2_shf-2_refuse-0-1", 0.1)
    lock = load_params(tmp_path / "params.yaml").locks[applied.name]
    assert (lock.steps, lock.refuse) == (["np-2", "shf-2"], RefuseParams(weight=0.1))


@pytest.mark.usefixtures("cheap")
def test_a_lock_of_too_few_keys_is_not_applied(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(PARAMS)
    outcome = make_outcome(search={"min_key_bits": 128})
    with pytest.raises(ConfigError, match=r"got none: no lock keeps all.*or min_key_bits"):
        apply_recommendation(outcome, load_params(path), tmp_path)
    assert path.read_text() == PARAMS
