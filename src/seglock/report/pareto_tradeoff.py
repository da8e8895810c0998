"""The trade-off of a study as a figure to point at: all that the PNG shows (pareto.py)."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

from seglock.report.method_style import method_looks
from seglock.report.numbers import four
from seglock.report.pareto_marks import finished, hover, marker
from seglock.report.pareto_names import name_trials
from seglock.report.pareto_zoom import View, near_view, whole_view, within_limits
from seglock.report.paretopanels import FEASIBLE, VERDICTS, several_keys
from seglock.report.style import Theme
from seglock.results.study import Study
from seglock.results.trial import BaselineRecord

if TYPE_CHECKING:
    from plotly.graph_objects import Figure


def draw_trade_off(study: Study, theme: Theme) -> Figure:
    """The figure on this paper; a study without a measured trial has none."""
    import plotly.graph_objects as go

    figure = go.Figure()
    whole = whole_view(study)
    near = near_view(study, whole)
    if study.baseline:
        _add_levels(figure, study, study.baseline, whole, theme)
    _add_front(figure, study, whole, theme)
    looks = method_looks([found.trial for found in study.measured])
    for place, several in enumerate(several_keys(study.measured)):
        figure.add_scatter(
            x=[found.unauthorised for found in several],
            y=[found.owner for found in several],
            mode="lines",
            line={
                "color": theme.colour(looks[several[0].trial.method]),
                "dash": "dot",
                "width": 1.5,
            },
            hoverinfo="skip",
            name="One lock, several keys",
            legendgroup="keys",
            showlegend=place == 0,
        )
    for method, look in looks.items():
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
                marker=marker(look, theme, is_filled=is_front, size=12 if is_front else 9)
                | {"opacity": 1 if is_front else 0.7 if theme.is_dark else 0.5},
                text=[hover(study, found) for found in shown],
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
                "color": theme.ink,
                "line": {"width": 2.5},
            },
            hoverinfo="skip",
            name=VERDICTS[study.recommendation.status],
        )
    figure.update_layout(**_view(study, whole, theme))
    if near:
        figure.update_layout(
            updatemenus=[_zoom(study, {"All trials": whole, "Near the limits": near}, theme)]
        )
    x = {"title": {"text": escape(study.about.unauthorised_text)}}
    return finished(figure, theme, x=x)


def _add_levels(
    figure: Figure, study: Study, baseline: BaselineRecord, view: View, theme: Theme
) -> None:
    left, right, bottom, top = view
    seeds = sorted(zip(baseline.seeds, baseline.owner_miou, strict=True))
    each = "".join(f"<br>seed {seed}: {four(miou)}" for seed, miou in seeds)
    low, high = min(baseline.owner_miou), max(baseline.owner_miou)
    areas = {
        "Within the limits": (
            within_limits(study.limits, baseline, left, top),
            FEASIBLE[theme.is_dark],
        )
    }
    if len(seeds) > 1:
        band = [left, right, right, left], [low, low, high, high]
        areas[f"The baseline's {len(seeds)} seeds"] = (band, theme.grid)
    for name, ((xs, ys), colour) in areas.items():
        figure.add_scatter(
            x=[*xs, xs[0]],
            y=[*ys, ys[0]],
            fill="toself",
            fillcolor=colour,
            line={"width": 0},
            mode="lines",
            hoverinfo="skip",
            name=name,
        )
    mean, floor = baseline.mean, baseline.floor
    for name, told, dash, colour, x, y in (
        ("Baseline", f"Baseline: {four(mean)}{each}", "dash", theme.ink, [left, right], [mean] * 2),
        (
            "Floor (no model)",
            f"Floor: {four(floor)}",
            "dot",
            theme.faint,
            [floor] * 2,
            [bottom, top],
        ),
        ("No lock: owner = thief", "", "dashdot", theme.faint, [left, right], [left, right]),
    ):
        figure.add_scatter(
            x=x,
            y=y,
            mode="lines",
            line={"color": colour, "dash": dash, "width": 1.5},
            name=name,
            **({"hovertemplate": f"{told}<extra></extra>"} if told else {"hoverinfo": "skip"}),
        )


def _add_front(figure: Figure, study: Study, view: View, theme: Theme) -> None:
    front = study.front_trials
    if not front:
        return
    figure.add_scatter(
        x=[front[0].unauthorised, *(found.unauthorised for found in front), view[1]],
        y=[view[2], *(found.owner for found in front), front[-1].owner],
        mode="lines",
        line={"shape": "hv", "color": theme.ink, "width": 1.5},
        hoverinfo="skip",
        name="Front",
    )


def _view(study: Study, view: View, theme: Theme) -> dict[str, Any]:
    """What part is shown, and the names of its locks."""
    return {
        "xaxis.range": list(view[:2]),
        "yaxis.range": list(view[2:]),
        "annotations": name_trials(study, view, theme),
    }


def _zoom(study: Study, views: dict[str, View], theme: Theme) -> dict[str, Any]:
    """Buttons that show one part or another."""
    return {
        "type": "buttons",
        "direction": "right",
        "showactive": False,
        "x": 0,
        "xanchor": "left",
        "y": 1,
        "yanchor": "bottom",
        "pad": {"b": 8},
        "bgcolor": theme.paper,
        "bordercolor": theme.faint,
        "font": {"color": theme.faint},
        "buttons": [
            {"label": label, "method": "relayout", "args": [_view(study, view, theme)]}
            for label, view in views.items()
        ],
    }
