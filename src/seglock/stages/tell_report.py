"""Telling MLflow what a report finds: each lock's run how it stands, now that all results are
there, and one of them the report itself, which the others' descriptions link to."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from seglock.address import project_root
from seglock.stages.summary import LockSummary, summarise_lock
from seglock.tracking import RunRecord, open_run

if TYPE_CHECKING:
    from seglock.config import Params

_FOLDER, _PAGE = "report", "report.html"
WORKSPACE = "workflowType=machine_learning"
"""Without it MLflow's UI opens the workspace for language models, which shows no training."""


def run_links(ui: str) -> Callable[[str], str]:
    """What makes a run's id its page in the MLflow UI at ``ui``, in the workspace for training.

    Runs on record say in which experiment they are. A study's trials have no record, and are in the
    newest one's; before there is any, MLflow finds the run, but in the workspace it likes.
    """
    known = {one.run_id: one.experiment_id for one in RunRecord.every(project_root())}
    newest = next((found for found in reversed(known.values()) if found), None)

    def link(run_id: str) -> str:
        experiment = known.get(run_id) or newest
        return f"{ui}/{run_page(experiment, run_id)}" if experiment else f"{ui}/#/runs/{run_id}"

    return link


def run_page(experiment: str, run_id: str, *, artifact: str = "") -> str:
    """The address of a run in the UI, or of one of its artifacts, after the UI's own."""
    place = f"/artifacts/{artifact}" if artifact else ""
    return f"#/experiments/{experiment}/runs/{run_id}{place}?{WORKSPACE}"


def tell_report(page: Path, runs: Mapping[str, str], params: Params, root: Path) -> None:
    """Tell the finished runs of these locks, a run's id each. One that knows it is not opened; a
    store that is away is told of on the terminal, and hears it from the next report.

    page: the report, which the first lock's run gets.
    """
    home = project_root()
    found = {lock: RunRecord.find(home, run_id) for lock, run_id in runs.items()}
    records = {lock: one for lock, one in found.items() if one and one.status == "FINISHED"}
    if not records:
        return
    first = next(iter(records))
    experiment, where = records[first].experiment_id, records[first].store_run_id
    link = ""
    if experiment and where:
        link = run_page(experiment, where, artifact=f"{_FOLDER}/{_PAGE}")
    for lock, record in records.items():
        ids = {runs[lock], record.run_id, record.store_run_id}
        summary = summarise_lock(lock, params, root, ids, link)
        if summary.news(record.tags) or not record.complete:
            _tell(record, summary, params, page if lock == first else None)


def _tell(record: RunRecord, summary: LockSummary, params: Params, page: Path | None) -> None:
    tracking = params.tracking.model_copy(
        update={"required": False, "experiment": record.experiment}
    )
    with open_run(
        tracking, name=record.name, tags={}, root=project_root(), run_id=record.run_id
    ) as tracker:
        if record.ended is not None:
            tracker.lasted = (record.ended - record.started) / 1000
        summary.tell(tracker)
        if page is not None:
            # A copy: the report is no result of the run's, which must stay as it was.
            with tempfile.TemporaryDirectory(prefix="seglock-report-") as scratch:
                copy = Path(shutil.copy(page, Path(scratch) / _PAGE))
                tracker.log_artifact(copy, _FOLDER)
