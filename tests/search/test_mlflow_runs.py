"""A study's runs in MLflow's own SQLite store: what its parallel coordinates can be drawn from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from seglock.address import tracking_uri
from seglock.config import TrackingParams
from seglock.results.study import Study
from seglock.search.coordinator import run_search
from seglock.search.executor import Failed, TrialJob, TrialResult
from seglock.stages.track import sync_run
from seglock.tracking import RunRecord
from tests.search.project import make_root
from tests.search.small_study import FakeExecutor, Silent, curve, study_params
from tests.tracking.conftest import Server, client_of, server, server_process  # noqa: F401

COMPLETE = "tags.kind = 'trial' and tags.state = 'complete'"  # as docs/scaling.md has it
SEARCH: dict[str, Any] = {
    "trials": 6,
    "enqueue": ["np-4-f25", "np-8", "shf-4", "np-2", "np-4+shf-4", "ffx-4"],
    "space": {"steps": ["shf"], "block_size": [2, 4], "epochs": [4]},
    "pruner": "baseline",
    "margin": 0.05,
    "warmup_epochs": 1,
}


def learning(job: TrialJob) -> list[float]:
    """NP at 2 learns nothing, so it is stopped; all others learn alike."""
    epochs = job.params["train"]["epochs"]
    return [0.01] * epochs if job.steps == ("np-2",) else curve("same", epochs)


class Odd(FakeExecutor):
    """SHF at 4 leaves its owner no lead; the worker of NP at 8 dies once, FFX cannot be trained."""

    def _run(self, job: TrialJob, decide: Any) -> TrialResult:
        result = super()._run(job, decide)
        if job.steps == ("shf-4",):
            assert result.scores is not None
            return replace(result, scores={**result.scores, "regained": None})
        return result


def fails(job: TrialJob, before: int) -> Failed | None:
    if job.steps == ("ffx-4",):
        return Failed(job.id, "the loss is not finite", permanent=True)
    if job.steps == ("np-8",) and not fails.died:  # type: ignore[attr-defined]
        fails.died = True  # type: ignore[attr-defined]
        return Failed(job.id, "its worker was killed", permanent=False)
    return None


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The experiment's runs, by filter, after a study with every kind of trial."""
    root = tmp_path_factory.mktemp("tracked")
    make_root(root)
    fails.died = False  # type: ignore[attr-defined]
    params = study_params(**SEARCH).model_copy(update={"tracking": TrackingParams()})
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        patch.delenv("DVC_ROOT", raising=False)
        executor = Odd(fails=fails, curve=learning)
        outcome = run_search(params, root, executor=executor, observer=Silent())
        uri = tracking_uri(root)
    assert dict(outcome.counts) == {"complete": 4, "stopped": 1, "failed": 1, "running": 0}
    client = client_of(uri)
    (experiment,) = [e for e in client.search_experiments() if e.name == "seglock"]
    return lambda wanted: client.search_runs([experiment.experiment_id], wanted)


def test_children_can_be_compared(store: Any) -> None:
    trials = store(COMPLETE)
    assert len(trials) == 4
    first = trials[0].data
    assert {"block_size", "fraction", "method", "lr", "epochs"} <= set(first.params)
    named = {f"access/{name}" for name in ("owner", "drop", "unauthorised", "regained")}
    assert named | {"access/strongest_T0", "val/miou"} <= set(first.metrics)
    assert len(first.metrics) <= 14
    assert first.tags["holds"].startswith("broken")
    assert "a trial under a key of its own" in first.tags["mlflow.note.content"]
    assert trials[0].inputs.dataset_inputs
    for run in trials:
        # A chart leaves out a run that lacks one of its columns.
        assert set(run.data.params) == set(first.params), run.info.run_name
        assert set(run.data.metrics) == set(first.metrics), run.info.run_name
        assert float(run.data.params["block_size"]) in {4, 8}
    regained = {run.data.tags["lock"]: run.data.metrics["access/regained"] for run in trials}
    assert regained["shf-4"] == 1.0
    assert all(0 < value < 1 for lock, value in regained.items() if lock != "shf-4")


def test_a_baseline_has_the_objectives_of_an_open_network(store: Any) -> None:
    runs = store("tags.kind = 'baseline'")
    assert len(runs) == 2
    for run in runs:
        metrics, params = run.data.metrics, run.data.params
        assert metrics["access/unauthorised"] == metrics["access/owner"]
        assert metrics["access/regained"] == 1.0
        assert "access/drop" not in metrics
        assert params["method"] == "baseline"
        # Words on that axis would make the trials' block sides words too.
        assert not {"block_size", "fraction"} & set(params)


def test_what_is_no_result_is_told_apart_by_its_tags(store: Any) -> None:
    states = [run.data.tags.get("state") for run in store("tags.kind = 'trial'")]
    assert sorted(map(str, states)) == ["None", *["complete"] * 4, "failed", "stopped"]


def test_a_server_that_dies_in_a_study_is_told_the_rest_from_study_json(
    server: Server,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    make_root(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DVC_ROOT", raising=False)

    class Killing(Silent):
        def job_ended(self, job: str, record: Any) -> None:
            super().job_ended(job, record)
            if job == "trial-1-1":
                server.kill()

    def finish(study: Study) -> Path:
        folder = tmp_path / "data" / "search"
        study.write(folder / "study.json")
        return folder

    params = study_params(4).model_copy(update={"tracking": TrackingParams(timeout_seconds=60.0)})
    study = run_search(params, tmp_path, executor=FakeExecutor(), observer=Killing(), finish=finish)
    said = capsys.readouterr().err
    assert said.count("goes on without") == 1
    assert said.count("seglock track sync") == 1  # the study's own run tells of it, not each child
    server.start()
    _, told = sync_run(str(study.run_id), tmp_path)
    assert told
    client = client_of(server.uri)
    parent = client.get_run(str(study.run_id))
    assert (parent.info.status, parent.data.metrics["study/complete"]) == ("FINISHED", 4)

    def children() -> dict[str, Any]:
        wanted = f"tags.`mlflow.parentRunId` = '{study.run_id}'"
        found = client.search_runs([parent.info.experiment_id], wanted)
        return {f"{run.data.tags['job']} {run.info.status}": run for run in found}

    first = children()
    assert sorted(first) == [
        "baseline-e3-s16-0 FINISHED", "baseline-e3-s16-1 FINISHED",
        *(f"trial-{number}-1 FINISHED" for number in range(4)),
    ]  # fmt: skip
    for trial in study.trials:
        run = first[f"trial-{trial.number}-1 FINISHED"]
        assert run.data.metrics["access/owner"] == trial.owner_miou
        assert run.data.metrics["access/unauthorised"] == trial.unauthorised
        assert run.data.params["block_size"] == str(trial.block_size)
        assert run.data.tags["key_hash"] == trial.key_hash
        curve = client.get_metric_history(run.info.run_id, "val/miou")
        assert sorted((m.step, m.value) for m in curve) == [*enumerate(trial.curve, start=1)]
    (record,) = RunRecord.every(tmp_path)
    record.changed(complete=False).save(tmp_path)  # as if that had not been noted
    sync_run(record.run_id, tmp_path)
    again = children()
    assert {n: r.data.metrics for n, r in again.items()} == {
        n: r.data.metrics for n, r in first.items()
    }
    assert {n: r.info.end_time for n, r in again.items()} == {
        n: r.info.end_time for n, r in first.items()
    }
