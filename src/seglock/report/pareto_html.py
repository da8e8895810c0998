"""The Pareto figure to point at: one HTML file with plotly inside, which loads nothing."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seglock import files
from seglock.report.interactive import embedded, lay_out, marker
from seglock.report.method_style import lock_text, method_looks
from seglock.report.numbers import NOTHING, bits, four
from seglock.report.paper import PUBLISHED_DATASET
from seglock.report.paretopanels import NEAREST, VERDICTS
from seglock.report.published_html import published_figure
from seglock.report.style import LIGHT
from seglock.results.study import Study
from seglock.results.trial import MeasuredTrial

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

# The browser itself is told to load nothing, whatever a later plotly may ask for.
_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
    "img-src data: blob:; font-src data:"
)
_MARGIN = 0.02
_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<title>seglock · {title}</title>
<style>
body {{ margin: 0 auto; max-width: 78rem; padding: 1.2rem; background: #fff; color: {ink};
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }}
h1, h2 {{ font-size: 1.3rem; margin: 0 0 .3rem; }}
h2 {{ margin-top: 2rem; }}
p {{ margin: .2rem 0; max-width: 52rem; color: #566070; }}
.figure {{ height: min(46rem, 80vh); min-height: 26rem; }}
</style>
</head>
<body>
<h1>{heading}</h1>
<p>{words}</p>
{figure}
</body>
</html>
"""


def write_pareto_html(study: Study, path: Path) -> None:
    """Write the interactive figure. Point at a trial for its figures; click a name to hide it."""
    if study.measured:
        words = (
            "Up and to the left is better. Filled: the front; hollow: beaten by another lock; "
            "shaded: within the limits. Point at a trial for its figures, drag to enlarge, "
            "double-click to go back, click a name to hide it."
        )
        figure = embedded(_figure(study), "pareto", with_library=True)
        if study.about.dataset == PUBLISHED_DATASET:
            figure += _published(study)
    else:
        words = "No trial has been measured: set search.trials, then run dvc repro search."
        figure = ""
    about = study.about
    page = _PAGE.format(
        policy=_POLICY,
        title=escape(study.study),
        ink=LIGHT.ink,
        heading=escape(f"Trade-off search {study.study}: {about.dataset}, {about.model}"),
        words=escape(words),
        figure=figure,
    )
    files.write_text(path, page)


def _published(study: Study) -> str:
    figure = published_figure(study, lambda found: _hover(study, found))
    words = (
        "The paper published the owner's mean IoU only, on the test images. Hollow: its Table 1; "
        f"filled: this study's trials, on the {study.about.split} split."
    )
    return f"<h2>Beside the paper's Table 1</h2>\n<p>{escape(words)}</p>\n" + embedded(
        figure, "published", with_library=False
    )


def _figure(study: Study) -> Figure:
    import plotly.graph_objects as go

    figure = go.Figure()
    _add_levels(figure, study)
    _add_front(figure, study)
    looks = method_looks([found.trial for found in study.measured])
    on_front = set(study.front)
    for method, look in looks.items():
        ours = [found for found in study.measured if found.trial.method == method]
        for is_front in (True, False):
            shown = [f for f in ours if (f.trial.number in on_front) == is_front]
            if not shown:
                continue
            figure.add_scatter(
                x=[found.unauthorised for found in shown],
                y=[found.owner for found in shown],
                mode="markers",
                name=escape(look.label) + ("" if is_front else ", beaten"),
                legendrank=1 if is_front else 2,
                marker=marker(
                    look,
                    is_filled=is_front,
                    size=12 if is_front else 9,
                    opacity=1 if is_front else 0.5,
                ),
                text=[_hover(study, found) for found in shown],
                hovertemplate="%{text}<extra></extra>",
            )
    _add_ring(figure, study)
    lay_out(
        figure,
        x={"title": {"text": escape(study.about.unauthorised_text)}},
        y={"title": {"text": "owner: mean IoU with the key"}},
    )
    return figure


def _add_levels(figure: Figure, study: Study) -> None:
    baseline = study.baseline
    if baseline is None:
        return
    limits, floor = study.limits, baseline.floor
    least = max(baseline.mean - limits.max_drop, floor)
    xs = [found.unauthorised for found in study.measured] + [floor]
    tops = [found.owner for found in study.measured] + [*baseline.owner_miou]
    left, right, top = min(xs) - _MARGIN, max(xs) + _MARGIN, max(tops) + _MARGIN
    edge = [floor + limits.max_regained * (owner - floor) for owner in (least, top)]
    figure.add_scatter(
        x=[left, edge[0], edge[1], left, left],
        y=[least, least, top, top, least],
        fill="toself",
        fillcolor="rgba(0, 158, 115, 0.16)",
        line={"width": 0},
        mode="lines",
        hoverinfo="skip",
        name=f"Within the limits: drop ≤ {limits.max_drop:g}, regained ≤ {limits.max_regained:g}",
    )
    bottom = min(found.owner for found in study.measured) - _MARGIN
    lines: Sequence[tuple[str, str, list[float], list[float]]] = (
        ("Baseline", "dash", [left, right], [baseline.mean, baseline.mean]),
        ("Floor (no model)", "dot", [floor, floor], [bottom, top]),
    )
    for name, dash, x, y in lines:
        figure.add_scatter(
            x=x,
            y=y,
            mode="lines",
            line={
                "color": LIGHT.ink if dash == "dash" else LIGHT.faint,
                "dash": dash,
                "width": 1.5,
            },
            hovertemplate=f"{name}: {four(y[0] if dash == 'dash' else x[0])}<extra></extra>",
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


def _add_ring(figure: Figure, study: Study) -> None:
    advice = study.recommendation
    for found in study.measured:
        if found.trial.number == advice.chosen:
            figure.add_scatter(
                x=[found.unauthorised],
                y=[found.owner],
                mode="markers",
                marker={
                    "symbol": "circle-open",
                    "size": 24,
                    "color": LIGHT.ink,
                    "line": {"width": 2.5},
                },
                hoverinfo="skip",
                name=VERDICTS.get(advice.status, NEAREST),
            )


def _hover(study: Study, found: MeasuredTrial) -> str:
    """What is told of a trial that is pointed at; every text of a file is escaped."""
    trial = found.trial
    title = f"<b>{escape(lock_text(trial.lock))}</b>"
    if trial.number == study.recommendation.chosen:
        title += f" ({VERDICTS.get(study.recommendation.status, NEAREST).lower()})"
    rows: list[tuple[str, Any]] = [
        ("owner", four(found.owner)),
        ("drop", four(trial.drop)),
        ("unauthorised", four(found.unauthorised)),
        *([("strongest", trial.strongest_text)] if trial.strongest_text else []),
        ("regained", four(trial.regained)),
        ("key space", f"{bits(trial.key_space_bits)} bits"),
        ("learning rate, weight decay", f"{trial.lr:g}, {trial.weight_decay:g}"),
        ("epochs, image side", f"{trial.epochs}, {trial.image_side}"),
        ("trial", trial.number),
        ("MLflow run", trial.run_id or NOTHING),
    ]
    return "<br>".join([title, *(f"{name}: {escape(str(value))}" for name, value in rows)])
