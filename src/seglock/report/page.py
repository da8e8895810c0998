"""The HTML page: one file, no network; pictures and style are inside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from seglock.report.columns import COLUMNS
from seglock.report.findings import findings, warnings
from seglock.report.illustrations import Illustration
from seglock.report.locks import LockResult
from seglock.report.paper import table1
from seglock.report.searchsummary import effort_sentence
from seglock.report.templating import render
from seglock.results.study import Study

LOCAL_UI = "http://127.0.0.1:5000"


def run_url(ui: str, run_id: str) -> str:
    """The address of a run in the MLflow UI at ``ui``.

    >>> run_url(LOCAL_UI, "0a1b")
    'http://127.0.0.1:5000/#/runs/0a1b'
    """
    from urllib.parse import quote

    return f"{ui.rstrip('/')}/#/runs/{quote(run_id, safe='')}"


def render_page(
    results: Sequence[LockResult],
    summary: Mapping[str, Any],
    pictures: Mapping[str, Illustration],
    *,
    study: Study | None = None,
    ui: str = LOCAL_UI,
    store: str = "sqlite:///mlruns/mlflow.db",
) -> str:
    """The report as one HTML document. ``ui`` is where the MLflow UI answers, ``store``
    what it is started with where that is this machine.

    With a ``study`` it links to pareto.html beside it, with attacks to leaderboard.html.
    """
    first, ids = results[0].evaluation, results[0].pictures.ids
    names = ["predictions", *(f"predictions-{number}" for number in range(2, len(ids) + 1))]
    return render(
        "report.html",
        summary=summary,
        search=summary["search"],
        attacks=summary["attacks"],
        study=study,
        effort=effort_sentence(study) if study else "",
        locks=summary["locks"].values(),
        columns=COLUMNS,
        table=table1(summary),
        findings=findings(summary),
        warnings=warnings(summary),
        pictures=pictures,
        picture_ids=ids,
        predictions=[pictures[name] for name, _ in zip(names, ids, strict=False)],
        lock_pictures=[pictures[name] for name in pictures if name.startswith("lock-")],
        results=results,
        classes=first.classes,
        image_side=first.image_side,
        run_url=lambda run_id: run_url(ui, run_id),
        store=store if ui == LOCAL_UI else None,
    )


def render_leaderboard(summary: Mapping[str, Any]) -> str:
    """The attacks of a summary as an HTML document of its own; it links to report.html."""
    return render("leaderboard.html", summary=summary, attacks=summary["attacks"])
