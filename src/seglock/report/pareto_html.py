"""The Pareto figure to point at: one HTML file with plotly inside, which loads nothing."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seglock import files
from seglock.report.method_style import LOOKS_OF_PAPER, lock_text, method_looks
from seglock.report.numbers import NOTHING, bits, four
from seglock.report.paper import PAPER_METHODS, PUBLISHED_DATASET, published_table
from seglock.report.pareto_zoom import within_limits
from seglock.report.paretopanels import VERDICTS
from seglock.report.style import LIGHT, Access
from seglock.report.templating import render
from seglock.results.study import Study
from seglock.results.trial import MeasuredTrial

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

_MARGIN = 0.02
# plotly's own default has a button that uploads the figure to its maker's server.
_CONFIG = {
    "showSendToCloud": False,
    "displaylogo": False,
    "modeBarButtonsToRemove": ["select2d", "lasso2d"],
    "responsive": True,
}
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


def write_pareto_html(study: Study, path: Path) -> None:
    """Write the interactive figure. Point at a trial for its figures; click a name to hide it."""
    published = study.measured and study.about.dataset == PUBLISHED_DATASET
    page = render(
        "pareto.html",
        study=study,
        trials=_trade_off(study) if study.measured else None,
        published=_published(study) if published else None,
    )
    files.write_text(path, page + "\n")


def _trade_off(study: Study) -> str:
    import plotly.graph_objects as go

    figure = go.Figure()
    _add_levels(figure, study)
    _add_front(figure, study)
    for method, look in method_looks([found.trial for found in study.measured]).items():
        ours = [found for found in study.measured if found.trial.method == method]
        for is_front in (True, False):
            shown = [f for f in ours if (f.trial.number in study.front) == is_front]
            if not shown:
                continue
            figure.add_scatter(
                x=[found.unauthorised for found in shown],
                y=[found.owner for found in shown],
                mode="markers",
                name=escape(look.label) + ("" if is_front else ", beaten"),
                legendrank=1 if is_front else 2,
                marker=_marker(look, is_filled=is_front, size=12 if is_front else 9)
                | {"opacity": 1 if is_front else 0.5},
                text=[_hover(study, found) for found in shown],
                hovertemplate="%{text}<extra></extra>",
            )
    if chosen := study.chosen:
        figure.add_scatter(
            x=[chosen.unauthorised],
            y=[chosen.owner],
            mode="markers",
            marker={
                "symbol": "circle-open",
                "size": 24,
                "color": LIGHT.ink,
                "line": {"width": 2.5},
            },
            hoverinfo="skip",
            name=VERDICTS[study.recommendation.status],
        )
    x = {"title": {"text": escape(study.about.unauthorised_text)}}
    return _embedded(figure, "pareto", x=x)


def _add_levels(figure: Figure, study: Study) -> None:
    baseline = study.baseline
    if baseline is None:
        return
    floor = baseline.floor
    xs = [found.unauthorised for found in study.measured] + [floor]
    owners = [found.owner for found in study.measured]
    left, right = min(xs) - _MARGIN, max(xs) + _MARGIN
    bottom, top = min(owners) - _MARGIN, max(*owners, *baseline.owner_miou) + _MARGIN
    xs, ys = within_limits(study.limits, baseline, left, top)
    figure.add_scatter(
        x=[*xs, xs[0]],
        y=[*ys, ys[0]],
        fill="toself",
        fillcolor="rgba(0, 158, 115, 0.16)",
        line={"width": 0},
        mode="lines",
        hoverinfo="skip",
        name=f"Within the limits: {study.limits.text}",
    )
    for name, dash, colour, level, x, y in (
        ("Baseline", "dash", LIGHT.ink, baseline.mean, [left, right], [baseline.mean] * 2),
        ("Floor (no model)", "dot", LIGHT.faint, floor, [floor, floor], [bottom, top]),
    ):
        figure.add_scatter(
            x=x,
            y=y,
            mode="lines",
            line={"color": colour, "dash": dash, "width": 1.5},
            hovertemplate=f"{name}: {four(level)}<extra></extra>",
            name=name,
        )


def _add_front(figure: Figure, study: Study) -> None:
    front = study.front_trials
    if not front:
        return
    last = max(found.unauthorised for found in study.measured) + _MARGIN
    figure.add_scatter(
        x=[*(found.unauthorised for found in front), last],
        y=[*(found.owner for found in front), front[-1].owner],
        mode="lines",
        line={"shape": "hv", "color": LIGHT.ink, "width": 1.5},
        hoverinfo="skip",
        name="Front",
    )


def _published(study: Study) -> str:
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
            marker=_marker(look, is_filled=False, size=9),
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
            marker=_marker(look, is_filled=True, size=11),
            hovertext=[_hover(study, found) for found in shown],
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
    ticks = {"tickvals": sides, "ticktext": [str(side) for side in sides]}
    x = {"title": {"text": "block side M"}, "type": "log", **ticks}
    return _embedded(figure, "published", x=x, with_library=False, rangemode="tozero")


def _marker(look: Access, *, is_filled: bool, size: int) -> dict[str, Any]:
    """plotly's marker for a method: filled with a thin edge of paper, or hollow."""
    symbol = _SYMBOLS[look.marker]
    return {
        "symbol": symbol if is_filled else f"{symbol}-open",
        "size": size,
        "color": look.colour,
        "opacity": 1,
        "line": {"width": 1, "color": LIGHT.paper if is_filled else look.colour},
    }


def _embedded(
    figure: Figure, name: str, *, x: dict[str, Any], with_library: bool = True, **y: Any
) -> str:
    """The figure in the house's look as HTML. The page's first brings plotly along for all."""
    figure.update_layout(
        template="plotly_white",
        margin={"l": 60, "r": 20, "t": 20, "b": 60},
        legend={"orientation": "h", "y": -0.14},
        font={"color": LIGHT.ink, "size": 13},
        hoverlabel={"align": "left", "bgcolor": "#ffffff", "font": {"color": LIGHT.ink}},
        xaxis={"zeroline": False} | x,
        yaxis={"zeroline": False, "title": {"text": "owner: mean IoU with the key"}} | y,
    )
    text: str = figure.to_html(
        full_html=False,
        include_plotlyjs=with_library,
        div_id=name,  # a fixed name: the same study gives the same bytes
        config=_CONFIG,
    )
    return text


def _hover(study: Study, found: MeasuredTrial) -> str:
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
