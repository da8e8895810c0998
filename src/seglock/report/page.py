"""The HTML page: one file, no network; pictures and style are inside it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from seglock.report.columns import COLUMNS
from seglock.report.findings import warnings
from seglock.report.illustrations import Illustration
from seglock.report.locks import LockResult
from seglock.report.paper import table1
from seglock.report.templating import render
from seglock.results.study import Study

LOCAL_UI = "http://127.0.0.1:5000"


def render_page(
    results: Sequence[LockResult],
    summary: Mapping[str, Any],
    pictures: Mapping[str, Illustration],
    *,
    study: Study | None = None,
    ui: str = LOCAL_UI,
    store: str = "sqlite:///mlruns/mlflow.db",
    run_link: Callable[[str], str] = lambda run_id: f"{LOCAL_UI}/#/runs/{run_id}",
) -> str:
    """The report as one HTML document. ``ui`` is where the MLflow UI answers, ``store``
    what it is started with where that is this machine, ``run_link`` where a run has its page.

    With a ``study`` it links to pareto.html beside it, with attacks to leaderboard.html.
    """
    ids = results[0].ids
    names = [f"predictions-{place + 1}" if place else "predictions" for place in range(len(ids))]
    return render(
        "report.html",
        summary=summary,
        study=study,
        columns=COLUMNS,
        table=table1(summary),
        warnings=warnings(summary),
        pictures=pictures,
        picture_ids=ids,
        predictions=[pictures[name] for name in names],
        lock_pictures=[pictures[name] for name in pictures if name.startswith("lock-")],
        results=results,
        ui=ui,
        run_link=run_link,
        store=store if ui == LOCAL_UI else None,
    )
