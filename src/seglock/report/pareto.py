"""The Pareto figure of a study: what a lock leaves its owner, over what it leaves a thief."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from seglock.report.labels import Label, place_labels
from seglock.report.method_style import method_looks, trial_labels
from seglock.report.paper import PUBLISHED_DATASET
from seglock.report.pareto_zoom import View, is_in, near_view, whole_view
from seglock.report.paretopanels import Looks, draw_published, draw_view
from seglock.report.style import LIGHT, Theme, canvas, named_handles, say
from seglock.results.study import Study
from seglock.steps import lock_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_PANEL = (5.4, 4.5)
_NOTHING = (
    "No trial has been measured.\nSet search.trials in params.yaml, then run dvc repro search."
)


def draw_pareto(study: Study, path: Path, *, theme: Theme = LIGHT) -> None:
    """Draw owner's mean IoU over the thief's as a PNG; up and left is better.

    Filled markers, joined by a step line, are the front; faint ones are beaten by another
    lock. Shaded: the locks within the study's limits. Where few trials fill a corner of the
    figure a second panel shows it larger; on VOC 2012 a third has the paper's Table 1.
    """
    from matplotlib.patches import Rectangle

    looks = method_looks([found.trial for found in study.measured])
    whole = whole_view(study)
    near = near_view(study, whole)
    views = [whole] if near is None else [whole, near]
    published = study.about.dataset == PUBLISHED_DATASET
    panels = len(views) + published
    size = (max(_PANEL[0] * panels, 7.2) - 0.4 * (panels - 1), _PANEL[1] + 0.5)
    with canvas(path, *size, theme) as figure:
        if not study.measured:
            say(figure.add_subplot(), _NOTHING)
        else:
            axes = list(figure.subplots(1, panels, squeeze=False)[0])
            for place, view in enumerate(views):
                draw_view(axes[place], study, view, looks, theme)
            axes[0].set_title("All trials" if near else "Trials")
            if near:
                axes[1].set_title("Near the limits")
                left, right, low, high = near
                frame = Rectangle((left, low), right - left, high - low, fill=False, lw=0.9)
                axes[0].add_patch(frame).set(edgecolor=theme.faint, zorder=3)
            if published:
                draw_published(axes[-1], study, looks, theme)
            _legends(figure, axes, looks, theme)
            figure.draw_without_rendering()
            for place, view in enumerate(views):
                _name_points(axes[place], study, view, near if place == 0 else None, theme)


def _name_points(
    axes: Axes, study: Study, view: View, elsewhere: View | None, theme: Theme
) -> None:
    """Name the front's locks and the chosen one, but for those that another panel names."""
    points = [(f.unauthorised, f.owner) for f in study.measured if is_in(f, view)]
    place_labels(axes, names(study, view, elsewhere), points, theme)


def names(study: Study, view: View, elsewhere: View | None = None) -> list[Label]:
    """What the locks of the front and the chosen one are called, of those in ``view`` only."""
    labels, chosen = trial_labels(study), study.chosen
    named = [
        Label(
            labels.get(found.trial.number, lock_text(found.trial.lock)),
            found.unauthorised,
            found.owner,
            is_bold=found == chosen,
        )
        for found in study.measured
        if is_in(found, view)
        and (found == chosen or found.trial.number in labels)
        and not (elsewhere and is_in(found, elsewhere))
    ]
    return sorted(named, key=lambda label: not label.is_bold)


def _legends(figure: Figure, axes: Sequence[Axes], looks: Looks, theme: Theme) -> None:
    """Above: the methods. Below: the front, the limits and the levels."""
    from matplotlib.lines import Line2D

    figure.legend(
        [
            Line2D([], [], marker=k.marker, color=theme.colour(k), linestyle="none", markersize=8)
            for k in looks.values()
        ],
        [look.label for look in looks.values()],
        loc="outside upper right",
        ncols=min(len(looks), 6),
        handletextpad=0.2,
        borderpad=0,
        borderaxespad=0.6,
    )
    named = named_handles(axes)
    figure.legend(
        named.values(),
        named.keys(),
        loc="outside lower center",
        ncols={1: 2, 2: 4, 3: 5}[len(axes)],
        columnspacing=1.6,
    )
