"""The experiment's saved views, as MLflow's UI reads them; what a run says of who made it, and of
the machine."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from seglock.address import tracking_uri
from seglock.config import TrackingParams
from seglock.tracking import open_run, system
from seglock.tracking.views import MARK, view_tags
from tests.tracking.conftest import client_of


def test_views_begin_with_what_a_lock_is_judged_by() -> None:
    tags = view_tags()
    names = {}
    for key, value in tags.items():
        if key != MARK:
            view = json.loads(value)
            names[view["name"]] = state = json.loads(view["state"])
            assert {"createdAt", "updatedAt"} <= set(view)
            figures = [c for c in state["selectedColumns"] if c.startswith("metrics.")]
            assert figures[:4] == [
                f"metrics.`access/{name}`" for name in ("owner", "drop", "unauthorised", "regained")
            ]
            assert state["columnOrder"] == state["selectedColumns"]
    assert list(names) == ["Locks", "Trials"]
    charts = {chart["type"] for chart in names["Trials"]["compareRunCharts"]}
    assert charts == {"SCATTER", "PARALLEL"}


def test_the_experiment_has_its_views_once_and_a_run_its_user_and_its_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setattr(system.getpass, "getuser", lambda: "ann")
    monkeypatch.setattr(system, "SECONDS", 1e6)
    params = TrackingParams(timeout_seconds=60.0)
    with open_run(params, name="a", tags={}, root=tmp_path, system=True) as tracker:
        assert tracker.system is not None
        tracker.system._asked = -1e9
        for epoch in (1, 2):
            tracker.log_metrics({"val/miou": 0.5}, step=epoch)
    client = client_of(tracking_uri(tmp_path))
    run = client.get_run(tracker.run_id)
    assert run.data.tags["mlflow.user"] == "ann"
    assert 0 <= run.data.metrics["system/cpu_utilization_percentage"] <= 100
    sampled = client.get_metric_history(tracker.run_id, "system/cpu_utilization_percentage")
    assert [point.step for point in sampled] == [1]  # the second epoch ended at once
    experiment = client.get_experiment(run.info.experiment_id)
    assert view_tags().items() <= experiment.tags.items()
    client.delete_experiment_tag(experiment.experiment_id, "mlflow.sharedViewState.seglock-trials")
    with open_run(params, name="b", tags={}, root=tmp_path):
        pass
    tags = client.get_experiment(run.info.experiment_id).tags
    assert "mlflow.sharedViewState.seglock-trials" not in tags  # whoever deleted it meant it


def test_a_machine_that_cannot_be_asked_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_: object) -> None:
        raise RuntimeError("no such card")

    monkeypatch.setattr(system.importlib, "import_module", gone)
    assert system.SystemMonitor().sample() == {}
