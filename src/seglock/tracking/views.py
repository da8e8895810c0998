"""Saved views of the experiment in MLflow's UI: which runs, which columns first, which charts.

They are tags of the experiment, in the form that the UI itself writes, and stand in its menu
*Views*.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

MARK, VERSION = "seglock.views", "1"
"""The tag that says that the views of a version were made: a user may delete or change them."""
LOCKS, TRIALS = "seglock-locks", "seglock-trials"
_TAG = "mlflow.sharedViewState."
_FIGURES = ("owner", "drop", "unauthorised", "regained")
_THIEVES = ("strongest_T0", "strongest_T1", "beyond_scratch", "strongest_T2", "strongest_T3")
_WIDTH = 110  # pixels
_SECTION = "trade-off"


def view_tags() -> dict[str, str]:
    """The tags of an experiment that has the views, and ``MARK``."""
    figures = [f"metrics.`access/{name}`" for name in (*_FIGURES, *_THIEVES)]
    chosen = [f"params.`{name}`" for name in ("method", "block_size", "fraction", "refuse")]
    holds = "tags.`holds`"
    views = {
        LOCKS: _view("Locks", "tags.kind = 'lock'", [holds, *figures], []),
        TRIALS: _view(
            "Trials",
            "tags.kind = 'trial' and tags.state = 'complete'",
            [holds, *figures[:4], *chosen],
            _charts(),
        ),
    }
    return {MARK: VERSION} | {f"{_TAG}{key}": view for key, view in views.items()}


def _view(name: str, search: str, columns: Sequence[str], charts: list[Any]) -> str:
    state: dict[str, Any] = {
        "searchFilter": search,
        "orderByKey": "metrics.`access/regained`",
        "orderByAsc": True,
        "selectedColumns": list(columns),
        "columnOrder": list(columns),
        "columnWidths": {name: _WIDTH + 3 * max(0, len(name) - 24) for name in columns},
    }
    if charts:
        section = {"uuid": _SECTION, "name": "Trade-off", "display": True, "deleted": False}
        state |= {"compareRunCharts": charts, "compareRunSections": [section | _OWN]}
        state["isAccordionReordered"] = True
    return json.dumps({"name": name, "createdAt": 0, "updatedAt": 0, "state": json.dumps(state)})


_OWN = {"isReordered": False, "isGenerated": False}


def _charts() -> list[dict[str, Any]]:
    def axis(name: str) -> dict[str, str]:
        return {"key": f"access/{name}", "type": "METRIC"}

    common = {"metricSectionId": _SECTION, "deleted": False, "runsCountToCompare": 100} | _OWN
    return [
        {
            "uuid": "owner-unauthorised",
            "type": "SCATTER",
            "xaxis": axis("unauthorised"),
            "yaxis": axis("owner"),
            **common,
        },
        {
            "uuid": "parallel",
            "type": "PARALLEL",
            "selectedParams": ["method", "block_size", "fraction"],
            "selectedMetrics": ["access/unauthorised", "access/owner"],
            "showAllRuns": True,
            **common,
        },
    ]
