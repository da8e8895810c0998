"""The Pareto figure to point at: one HTML file with plotly inside, which loads nothing.

It shows what the PNG does (pareto.py), in light and in dark, and each trial's figures besides.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from seglock import files
from seglock.report.method_style import LOOKS_OF_PAPER, method_looks
from seglock.report.numbers import four
from seglock.report.paper import PAPER_METHODS, PUBLISHED_DATASET, published_table
from seglock.report.pareto_marks import finished, hover, marker
from seglock.report.pareto_tradeoff import draw_trade_off
from seglock.report.style import DARK, LIGHT, Theme
from seglock.report.templating import render
from seglock.results.study import Study

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

# plotly's own default has a button that uploads the figure to its maker's server.
_CONFIG = {
    "showSendToCloud": False,
    "displaylogo": False,
    "modeBarButtonsToRemove": ["select2d", "lasso2d"],
    "responsive": True,
}


def write_pareto_html(study: Study, path: Path, *, back: str | None = None) -> None:
    """Write the interactive figure. Point at a trial for its figures; click a name to hide it.

    back: the address of the report that it belongs to, if there is one.
    """
    from plotly.offline import get_plotlyjs

    drawings: dict[str, Callable[[Study, Theme], Figure]] = {}
    if study.measured:
        drawings["pareto"] = draw_trade_off
        if study.about.dataset == PUBLISHED_DATASET:
            drawings["published"] = _published
    figures = {
        name: {"light": drawing(study, LIGHT).to_json(), "dark": drawing(study, DARK).to_json()}
        for name, drawing in drawings.items()
    }
    page = render(
        "pareto.html",
        study=study,
        figures=figures,
        config=json.dumps(_CONFIG),
        plotly=get_plotlyjs() if figures else "",
        back=back,
    )
    files.write_text(path, page + "\n")


def _published(study: Study, theme: Theme) -> Figure:
    """The owner's mean IoU over the block side: published ones hollow and joined, ours filled.

    The paper has no figure of what a thief gets, so its points have no place in the trade-off.
    """
    import plotly.graph_objects as go

    cells, baseline = published_table()
    sides = sorted({side for side, _ in cells} | {f.trial.block_size for f in study.measured})
    figure = go.Figure()
    for method in PAPER_METHODS:
        points = [(side, value) for (side, name), value in sorted(cells.items()) if name == method]
        look = LOOKS_OF_PAPER[method]
        figure.add_scatter(
            x=[side for side, _ in points],
            y=[value for _, value in points],
            mode="lines+markers",
            name=f"{look.label}, published",
            marker=marker(look, theme, is_filled=False, size=9),
            line={"width": 1, "color": theme.colour(look)},
            hovertext=[f"<b>{method}-{side}</b>, published: {four(v)}" for side, v in points],
            hovertemplate="%{hovertext}<extra></extra>",
        )
    for method, look in method_looks([found.trial for found in study.measured]).items():
        shown = [found for found in study.measured if found.trial.method == method]
        figure.add_scatter(
            x=[found.trial.block_size for found in shown],
            y=[found.owner for found in shown],
            mode="markers",
            name=f"{escape(look.label)}, ours",
            marker=marker(look, theme, is_filled=True, size=11),
            hovertext=[hover(study, found) for found in shown],
            hovertemplate="%{hovertext}<extra></extra>",
        )
    figure.add_scatter(
        x=[sides[0], sides[-1]],
        y=[baseline, baseline],
        mode="lines",
        line={"color": theme.faint, "dash": "dash", "width": 1.5},
        name="Baseline, published",
        hovertemplate=f"Baseline, published: {four(baseline)}<extra></extra>",
    )
    ticks = {"tickvals": sides, "ticktext": [str(side) for side in sides]}
    x = {"title": {"text": "block side M"}, "type": "log", **ticks}
    return finished(figure, theme, x=x, rangemode="tozero")
