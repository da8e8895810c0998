"""Beside a study on VOC 2012, to point at: the paper's Table 1, by block side."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from typing import TYPE_CHECKING

from seglock.report.interactive import lay_out, marker
from seglock.report.method_style import LOOKS_OF_PAPER, method_looks
from seglock.report.numbers import four
from seglock.report.paper import PAPER_METHODS, published_table
from seglock.report.style import LIGHT
from seglock.results.study import Study
from seglock.results.trial import MeasuredTrial

if TYPE_CHECKING:
    from plotly.graph_objects import Figure


def published_figure(study: Study, hover: Callable[[MeasuredTrial], str]) -> Figure:
    """The owner's mean IoU over the block side: published ones hollow and joined, ours filled.

    The paper has no figure of what a thief gets, so its points have no place in the trade-off.
    ``hover`` is what is told of a trial.
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
            marker=marker(look, is_filled=False, size=9),
            line={"width": 1, "color": look.colour},
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
            marker=marker(look, is_filled=True, size=11),
            hovertext=[hover(found) for found in shown],
            hovertemplate="%{hovertext}<extra></extra>",
        )
    figure.add_scatter(
        x=[sides[0], sides[-1]],
        y=[baseline, baseline],
        mode="lines",
        line={"color": LIGHT.faint, "dash": "dash", "width": 1.5},
        name="Baseline, published",
        hovertemplate=f"Baseline, published: {four(baseline)}<extra></extra>",
    )
    labels = [str(side) for side in sides]
    lay_out(
        figure,
        x={
            "title": {"text": "block side M"},
            "type": "log",
            "tickvals": sides,
            "ticktext": labels,
        },
        y={"title": {"text": "owner: mean IoU with the key"}, "rangemode": "tozero"},
    )
    return figure
