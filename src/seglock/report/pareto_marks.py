"""How marks, hints and paper of the interactive Pareto figures look."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

from seglock.report.numbers import NOTHING, bits, four
from seglock.report.paretopanels import VERDICTS
from seglock.report.style import Access, Theme
from seglock.results.study import Study
from seglock.results.trial import MeasuredTrial
from seglock.steps import lock_text

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

_SYMBOLS = {
    "o": "circle",
    "s": "square",
    "^": "triangle-up",
    "D": "diamond",
    "v": "triangle-down",
    "P": "cross",
    "X": "x",
    "p": "pentagon",
}


def marker(look: Access, theme: Theme, *, is_filled: bool, size: int) -> dict[str, Any]:
    """plotly's marker for a method: filled with a thin edge of paper, or hollow."""
    symbol, colour = _SYMBOLS[look.marker], theme.colour(look)
    return {
        "symbol": symbol if is_filled else f"{symbol}-open",
        "size": size,
        "color": colour,
        "opacity": 1,
        "line": {"width": 1, "color": theme.paper if is_filled else colour},
    }


def finished(figure: Figure, theme: Theme, *, x: dict[str, Any], **y: Any) -> Figure:
    """The figure in the house's look, on this paper."""
    axis = {
        "zeroline": False,
        "gridcolor": theme.grid,
        "linecolor": theme.faint,
        "automargin": True,
        "title.font.size": 13,
        "title.standoff": 12,
    }
    figure.update_layout(
        template="none",
        paper_bgcolor=theme.paper,
        plot_bgcolor=theme.paper,
        margin={"l": 60, "r": 20, "t": 50, "b": 60},
        legend={"orientation": "h", "y": -0.16, "yanchor": "top"},
        font={"color": theme.ink, "size": 13, "family": "system-ui, sans-serif"},
        hoverlabel={"align": "left", "bgcolor": theme.paper, "font": {"color": theme.ink}},
        xaxis=axis | x,
        yaxis=axis | {"title": {"text": "owner: mean IoU with the key"}} | y,
    )
    return figure


def hover(study: Study, found: MeasuredTrial) -> str:
    """What is told of a trial that is pointed at; every text of a file is escaped."""
    trial = found.trial
    title = f"<b>{escape(lock_text(trial.lock))}</b>"
    if trial.number == study.recommendation.chosen:
        title += f" ({VERDICTS[study.recommendation.status].lower()})"
    rows: list[tuple[str, Any]] = [
        ("owner", four(found.owner)),
        ("drop", four(trial.drop)),
        ("unauthorised", four(found.unauthorised)),
        *([("strongest", trial.strongest_text)] if trial.strongest_text else []),
        ("regained", four(trial.regained)),
        ("key space", f"{bits(trial.key_space_bits)} bits"),
        *([("refuse", f"{trial.refuse:g}")] if trial.refuse else []),
        ("learning rate, weight decay", f"{trial.lr:g}, {trial.weight_decay:g}"),
        ("epochs, image side", f"{trial.epochs}, {trial.image_side}"),
        ("trial", trial.number),
        ("MLflow run", trial.run_id or NOTHING),
    ]
    return "<br>".join([title, *(f"{name}: {escape(str(value))}" for name, value in rows)])
