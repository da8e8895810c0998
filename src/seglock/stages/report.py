"""Stage ``report``: result files -> data/reports. Reads and renders; measures nothing."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from seglock import files
from seglock.config import load_params
from seglock.errors import ReportError
from seglock.report import read_results
from seglock.report.exports import to_csv, to_latex
from seglock.report.illustrations import illustrate
from seglock.report.page import LOCAL_UI, render_page
from seglock.report.paper import table1
from seglock.report.pareto_html import write_pareto_html
from seglock.report.summary import summarise
from seglock.report.templating import render
from seglock.results.attack import read_attacks
from seglock.results.standing import LockLimits
from seglock.results.study import read_study_file, require_same_data
from seglock.stages.outputs import sole_writer
from seglock.stages.tell_report import run_links, tell_report

REPORT_FOLDER = Path("data/reports")
PAGE = "report.html"
PARETO_PAGE = "pareto.html"
LEADERBOARD = "leaderboard.json"
LEADERBOARD_PAGE = "leaderboard.html"
_PICTURES = (
    "access_control.png",
    "transforms.png",
    "predictions.png",
    "pareto.png",
    "attack_shares.png",
    "attack_courses.png",
    "key_proximity.png",
)


def write_report(root: Path) -> dict[str, Any]:
    """Render data/reports of the project at ``root``, whole or not at all; returns summary.json.

    Reads the locks that params.yaml lists, whatever else lies in the folders, and the trade-off
    search where there was one. Raises ReportError, naming the stage to run, for result files that
    are missing or damaged.
    """
    params = load_params(root / "params.yaml")
    results = read_results(root, {name: tuple(lock.steps) for name, lock in params.locks.items()})
    study = read_study_file(root)
    if study:
        require_same_data(study, results[0].evaluation.dataset_digest)
    attacks = read_attacks(root, params.locks)
    summary = summarise(results, study, attacks, LockLimits.of(params.search))
    with (
        sole_writer(root, "reports"),
        tempfile.TemporaryDirectory(prefix="seglock-report-") as scratch,
        files.replacing_folder(root / REPORT_FOLDER) as out,
    ):
        illustrations = illustrate(results, summary, Path(scratch), study, attacks)
        own = {} if not os.environ.get("MLFLOW_TRACKING_URI") else {"store": "$MLFLOW_TRACKING_URI"}
        page = render_page(
            results,
            summary,
            illustrations,
            study=study,
            ui=mlflow_ui(),
            run_link=run_links(mlflow_ui()),
            **own,
        )
        files.write_text(out / PAGE, page)
        files.write_text(out / "table.csv", to_csv(summary))
        files.write_text(out / "table.tex", to_latex(summary, table1(summary)))
        files.write_json(out / "summary.json", summary)
        if summary["attacks"]:
            files.write_json(out / LEADERBOARD, summary["attacks"])
            files.write_text(out / LEADERBOARD_PAGE, render("leaderboard.html", summary=summary))
        if study:
            write_pareto_html(study, out / PARETO_PAGE, back=PAGE)
        for name in _PICTURES:
            if (Path(scratch) / name).exists():
                shutil.copyfile(Path(scratch) / name, out / name)
    runs = {name: lock["run_id"] for name, lock in summary["locks"].items() if lock["run_id"]}
    tell_report(root / REPORT_FOLDER / PAGE, runs, params, root)
    return summary


def read_report(root: Path) -> dict[str, Any]:
    """The last report's summary.json; raises ReportError where there is none, or an old one."""
    path = root / REPORT_FOLDER / "summary.json"
    return files.read_object(
        path, {"locks": dict, "standings": dict}, error=ReportError, fix="run seglock report"
    )


def mlflow_ui() -> str:
    """Where the MLflow UI answers: the tracking server, without its password, or this machine."""
    address = urlsplit(os.environ.get("MLFLOW_TRACKING_URI", ""))
    if address.scheme not in ("http", "https") or not address.hostname:
        return LOCAL_UI
    place = address.netloc.rpartition("@")[2]
    return urlunsplit((address.scheme, place, address.path.rstrip("/"), "", ""))
