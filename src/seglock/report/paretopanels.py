"""The panels of the Pareto figure: trials, front, limits and levels, and the paper's points."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from seglock.report.method_style import LOOKS_OF_PAPER
from seglock.report.paper import PAPER_METHODS, published_table
from seglock.report.pareto_zoom import View, within_limits
from seglock.report.style import Access, Theme, side_axis
from seglock.results.study import Status, Study
from seglock.results.trial import BaselineRecord, MeasuredTrial

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FEASIBLE = ("#cfe6d6", "#1d3a2b")
VERDICTS: dict[Status, str] = {
    "recommended": "Recommended",
    "undecided": "Candidate, undecided",
    "none": "Nearest to the limits",
    "empty": "Nearest to the limits",
}

Looks = Mapping[str, Access]


def draw_view(axes: Axes, study: Study, view: View, looks: Looks, theme: Theme) -> None:
    """Draw the part of the trade-off that ``view`` is, without names and legend."""
    axes.set_xlim(view[0], view[1])
    axes.set_ylim(view[2], view[3])
    axes.grid(visible=True)
    axes.set_xlabel(study.about.unauthorised_text)
    axes.set_ylabel("owner: mean IoU with the key")
    if baseline := study.baseline:
        _draw_limits(axes, study, baseline, view, theme)
    _draw_front(axes, study.front_trials, view, theme)
    _join_keys(axes, study.measured, looks, theme)
    for found in study.measured:
        look = looks[found.trial.method]
        best = found.trial.number in study.front
        colour = theme.colour(look)
        axes.plot(
            found.unauthorised,
            found.owner,
            look.marker,
            markersize=8 if best else 6,
            markerfacecolor=colour if best else "none",
            markeredgecolor=theme.paper if best else colour,
            markeredgewidth=0.8 if best else 1.1,
            alpha=1 if best else 0.45,
            zorder=6 if best else 4,
        )
    if len(study.front) < len(study.measured):
        axes.plot(
            [],
            [],
            "o",
            markersize=6,
            markerfacecolor="none",
            color=theme.faint,
            alpha=0.7,
            label="Beaten by another lock",
        )
    if chosen := study.chosen:
        axes.plot(
            chosen.unauthorised,
            chosen.owner,
            "o",
            markersize=16,
            markerfacecolor="none",
            markeredgecolor=theme.ink,
            markeredgewidth=1.8 if study.recommendation.status == "recommended" else 1.2,
            zorder=7,
            label=VERDICTS[study.recommendation.status],
        )


def _draw_limits(
    axes: Axes, study: Study, baseline: BaselineRecord, view: View, theme: Theme
) -> None:
    """The region within both limits, and what bounds it: baseline and floor."""
    axes.fill(
        *within_limits(study.limits, baseline, view[0], view[3]),
        facecolor=FEASIBLE[theme.is_dark],
        edgecolor="none",
        zorder=0.5,
        label=f"Within the limits: {study.limits.text}",
    )
    if len(baseline.owner_miou) > 1:
        axes.axhspan(
            min(baseline.owner_miou),
            max(baseline.owner_miou),
            color=theme.ink,
            alpha=0.1,
            linewidth=0,
            zorder=0.7,
        )
    seeds = len(baseline.owner_miou)
    band = f" (band: its {seeds} seeds)" if seeds > 1 else ""
    axes.axhline(baseline.mean, label=f"Baseline{band}", **theme.reference)
    axes.axvline(baseline.floor, **theme.floor)
    axes.plot(
        [view[0], view[1]],
        [view[0], view[1]],
        color=theme.faint,
        linestyle="-.",
        linewidth=0.9,
        zorder=2,
        label="No lock: owner = thief",
    )


def _draw_front(axes: Axes, front: Sequence[MeasuredTrial], view: View, theme: Theme) -> None:
    """The edge of what the front beats: up at each lock, then right to the next."""
    if not front:
        return
    corners = [(front[0].unauthorised, min(view[2], front[0].owner))]
    for found in front:
        corners += [(found.unauthorised, corners[-1][1]), (found.unauthorised, found.owner)]
    corners.append((max(view[1], corners[-1][0]), corners[-1][1]))
    axes.plot(
        *zip(*corners, strict=True),
        color=theme.ink,
        linewidth=1.3,
        solid_joinstyle="miter",
        zorder=3,
        label="Front",
    )


def _join_keys(axes: Axes, measured: Sequence[MeasuredTrial], looks: Looks, theme: Theme) -> None:
    """Thin lines between trials of one lock and recipe: how far apart its keys are."""
    for several in several_keys(measured):
        axes.plot(
            [found.unauthorised for found in several],
            [found.owner for found in several],
            color=theme.colour(looks[several[0].trial.method]),
            linestyle=(0, (1, 2)),
            linewidth=1.2,
            zorder=3.5,
            label="One lock, several keys",
        )


def several_keys(measured: Sequence[MeasuredTrial]) -> list[list[MeasuredTrial]]:
    """The trials of each lock and recipe that was tried under more than one key."""
    recipes: dict[tuple[object, ...], list[MeasuredTrial]] = {}
    for found in measured:
        recipes.setdefault(found.trial.recipe, []).append(found)
    return [several for several in recipes.values() if len(several) > 1]


def draw_published(axes: Axes, study: Study, looks: Looks, theme: Theme) -> None:
    """The owner's mean IoU over the block side: the paper's Table 1 hollow, ours filled."""
    cells, baseline = published_table()
    sides = sorted({side for side, _ in cells} | {f.trial.block_size for f in study.measured})
    for method in PAPER_METHODS:
        values = [(side, value) for (side, name), value in sorted(cells.items()) if name == method]
        look = LOOKS_OF_PAPER[method]
        axes.plot(
            *zip(*values, strict=True),
            look.marker + "-",
            color=theme.colour(look),
            markerfacecolor=theme.paper,
            linewidth=0.9,
            alpha=0.85,
        )
    axes.plot(
        [],
        [],
        "o-",
        color=theme.faint,
        markerfacecolor=theme.paper,
        linewidth=0.9,
        label="Published (VOC 2012)",
    )
    for found in study.measured:
        look = looks[found.trial.method]
        axes.plot(
            found.trial.block_size,
            found.owner,
            look.marker,
            color=theme.colour(look),
            markersize=7,
            markeredgecolor=theme.paper,
            markeredgewidth=0.7,
            zorder=5,
        )
    axes.axhline(
        baseline, color=theme.faint, linestyle="--", linewidth=1, label="Baseline, published"
    )
    side_axis(axes, sides)
    axes.set_ylim(bottom=0)
    axes.set_ylabel("owner: mean IoU with the key")
    axes.set_title(f"Beside the paper's Table 1 (ours: {study.about.split})")
    axes.grid(axis="y")
