"""What MLflow hears of a report: each lock as it stands, the report itself, and links that open."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from seglock.address import tracking_uri
from seglock.config import load_params
from seglock.stages import tell_report as stage
from seglock.stages.evaluate import evaluate_locks
from seglock.stages.tell_report import run_links, tell_report
from seglock.tracking import NOTE
from tests.stages.conftest import write_model
from tests.tracking.conftest import client_of


def test_each_run_hears_how_its_lock_stands_and_links_to_the_report(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_model(project, "baseline", run_id="ba5e" * 8)
    lock, baseline = evaluate_locks(["np-2", "baseline"], project)  # so that no drop is known yet
    runs = {"baseline": str(baseline.run_id), "np-2": str(lock.run_id)}
    client = client_of(tracking_uri(project))

    def run(name: str) -> Any:
        return client.get_run(runs[name])

    before = run("np-2")
    assert "access/drop" not in before.data.metrics
    page = tmp_path / "page.html"
    page.write_text("<p>a report</p>")
    params = load_params(project / "params.yaml")
    tell_report(page, runs, params, project)
    after = run("np-2")
    drop = baseline.scores.owner_miou - lock.scores.owner_miou
    assert after.data.metrics["access/drop"] == drop
    assert (after.info.status, after.info.end_time) == ("FINISHED", before.info.end_time)
    where = f"experiments/1/runs/{runs['baseline']}/artifacts/report/report.html"
    assert f"[The report](#/{where}?workflowType=machine_learning)" in after.data.tags[NOTE]
    copy = client.download_artifacts(runs["baseline"], "report/report.html")
    assert Path(copy).read_text() == "<p>a report</p>"

    monkeypatch.setattr(stage, "open_run", None)  # who knows it all is not opened again
    tell_report(page, runs, params, project)
    tell_report(page, {"np-2": "f" * 32}, params, project)  # nor one that is not on record

    link = run_links("http://ui")
    wanted = f"http://ui/#/experiments/1/runs/{runs['np-2']}?workflowType=machine_learning"
    assert link(runs["np-2"]) == wanted
    assert link("f" * 32).startswith("http://ui/#/experiments/1/runs/ffff")  # a study's trial


def test_before_any_run_is_on_record_mlflow_looks_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    assert run_links("http://ui")("f" * 32) == f"http://ui/#/runs/{'f' * 32}"
