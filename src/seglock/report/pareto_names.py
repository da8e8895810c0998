"""The names of locks in the interactive figure, placed as the PNG's are."""

from __future__ import annotations

from html import escape
from typing import Any

from seglock.report.labels import find_places
from seglock.report.method_style import method_looks
from seglock.report.pareto import names
from seglock.report.pareto_zoom import View, is_in
from seglock.report.paretopanels import draw_view
from seglock.report.style import Theme
from seglock.results.study import Study

_INCHES = (11.0, 5.0)  # about the figure's size on a screen
_PIXELS = 96 / 72  # a point of print on a screen
_ANCHORS = {"center": "middle"}


def name_trials(study: Study, view: View, theme: Theme) -> list[dict[str, Any]]:
    """plotly's annotations for the front's locks and the chosen one in ``view``."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(_INCHES)
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    draw_view(axes, study, view, method_looks([found.trial for found in study.measured]), theme)
    points = [(f.unauthorised, f.owner) for f in study.measured if is_in(f, view)]
    return [
        {
            "x": label.x,
            "y": label.y,
            "text": f"<b>{escape(label.text)}</b>" if label.is_bold else escape(label.text),
            "ax": place.dx * _PIXELS,
            "ay": -place.dy * _PIXELS,
            "xanchor": place.across,
            "yanchor": _ANCHORS.get(place.up, place.up),
            "font": {"size": 12},
            "arrowhead": 0,
            "arrowwidth": 1,
            "arrowcolor": theme.faint if place.has_line else "rgba(0, 0, 0, 0)",
        }
        for label, place in find_places(axes, names(study, view), points)
    ]
