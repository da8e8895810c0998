"""Figures over all locks: access control like the paper's Fig. 6, and the training curves."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from seglock.report.locks import LockResult, Series, baseline_of, group_series
from seglock.report.style import (
    CORRECT,
    INCORRECT,
    LIGHT,
    PLAIN,
    PLAIN_BN,
    Access,
    Theme,
    canvas,
    named_handles,
    say,
    side_axis,
)
from seglock.results.evaluation import Scores
from seglock.results.training import Epoch
from seglock.steps import lock_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLUMNS = 3
_PANEL = (3.5, 3.1)
_ADD = "Add one under locks: in params.yaml, for example  shf-4: {steps: [shf-4]}"
_SPREAD = "Incorrect keys, min to max"

Reading = Callable[[Scores], float | None]
_ACCESSES: tuple[tuple[Access, Reading], ...] = (
    (CORRECT, lambda s: s.correct.miou if s.correct else None),
    (PLAIN, lambda s: s.plain.miou),
    (PLAIN_BN, lambda s: s.plain_bn.miou if s.plain_bn else None),
    (INCORRECT, lambda s: s.incorrect.mean if s.incorrect else None),
)


def draw_access_control(results: Sequence[LockResult], path: Path, *, theme: Theme = LIGHT) -> None:
    """Draw mean IoU over the block side M, one panel a method (paper, Fig. 6), as a PNG.

    Incorrect keys are drawn as their mean with a band from the smallest to the largest; dashed
    lines are the baseline and the floor. A method with one M is drawn as bars.
    """
    series = group_series(results)
    baseline = baseline_of(results)
    reach = [value for r in results for _, read in _ACCESSES if (value := read(r.scores))]
    top = max([*reach, 0.05])
    columns = min(_COLUMNS, max(len(series), 1))
    rows = math.ceil(max(len(series), 1) / columns)
    size = (max(_PANEL[0] * columns + 0.4, 6.4), _PANEL[1] * rows + 0.9)
    with canvas(path, *size, theme) as figure:
        figure.get_layout_engine().set(hspace=0.08, wspace=0.05)  # type: ignore[union-attr, call-arg]
        if not series:
            words = f"No lock yet: the baseline alone reaches {results[0].scores.owner_miou:.4f}.\n"
            say(figure.add_subplot(), words + _ADD)
        for place, group in enumerate(series):
            axes = figure.add_subplot(rows, columns, place + 1)
            axes.set_title(group.label)
            if len(set(group.block_sizes)) > 1:
                _draw_lines(axes, group, theme)
            else:
                _draw_bars(axes, group, theme)
            if baseline:
                level = baseline.scores.owner_miou
                axes.axhline(level, label="Baseline (unlocked)", **theme.reference)
            axes.axhline(group.results[0].scores.floors.floor, **theme.floor)
            axes.set_ylim(0, top * 1.15)
            axes.grid(axis="y")
            if place % columns == 0:
                axes.set_ylabel("mean IoU")
        one_legend(figure, columns)


def _draw_lines(axes: Axes, group: Series, theme: Theme) -> None:
    for access, read in _ACCESSES:
        points = [
            (m, value)
            for m, result in zip(group.block_sizes, group.results, strict=True)
            if (value := read(result.scores)) is not None
        ]
        if not points:
            continue
        sides, values = zip(*points, strict=True)
        axes.plot(
            sides, values, access.marker + "-", color=theme.colour(access), label=access.label
        )
    band = [
        (m, incorrect.min, incorrect.max)
        for m, result in zip(group.block_sizes, group.results, strict=True)
        if (incorrect := result.scores.incorrect)
    ]
    if band:
        sides, low, high = zip(*band, strict=True)
        axes.fill_between(
            sides,
            low,
            high,
            color=theme.colour(INCORRECT),
            alpha=0.3,
            linewidth=0,
            label=_SPREAD,
        )
    side_axis(axes, sorted(set(group.block_sizes)))
    axes.margins(x=0.08)


def _draw_bars(axes: Axes, group: Series, theme: Theme) -> None:
    for shift, result in enumerate(group.results):
        scores = result.scores
        width = 0.8 / len(group.results)
        for place, (access, read) in enumerate(_ACCESSES):
            value = read(scores)
            if value is None:
                continue
            x = place + width * (shift - (len(group.results) - 1) / 2)
            axes.bar(x, value, width * 0.9, color=theme.colour(access), label=access.label)
            high = value
            if access is INCORRECT and scores.incorrect:
                low, high = scores.incorrect.min, scores.incorrect.max
                axes.plot([x, x], [low, high], color=theme.ink, linewidth=1.4, label=_SPREAD)
            axes.annotate(
                f"{value:.4f}" if len(group.results) == 1 else f"{value:.2f}",
                (x, high),
                xytext=(0, 4),
                textcoords="offset points",
                ha="center",
                fontsize=8.5 if len(group.results) == 1 else 7,
                zorder=5,
                bbox={"facecolor": theme.paper, "edgecolor": "none", "pad": 0.8, "alpha": 0.85},
            )
    names = ["correct", "plain", "plain, BN\nre-est.", "incorrect"]
    axes.set_xticks(range(len(names)), names)
    axes.tick_params(axis="x", length=0)
    if side := group.block_sizes[0]:
        axes.set_xlabel(f"block side M = {side}")


def one_legend(figure: Figure, columns: int) -> None:
    """One legend below all panels, each label once."""
    if named := named_handles(figure.axes):
        figure.legend(
            named.values(), named.keys(), loc="outside lower center", ncols=2 if columns == 1 else 4
        )


def draw_curves(results: Sequence[LockResult], path: Path, *, theme: Theme = LIGHT) -> None:
    """Draw validation mean IoU and losses over epochs, one column a method, as a PNG.

    Training loss is dashed, validation loss solid; the dot is the epoch whose weights were kept.
    """
    baseline = baseline_of(results)
    series = group_series(results) or [Series("Baseline", tuple(results))]
    columns = min(_COLUMNS, len(series))
    bands = math.ceil(len(series) / columns)
    size = (max(_PANEL[0] * columns + 0.4, 5.2), 5.0 * bands + 0.2)
    with canvas(path, *size, theme) as figure:
        grid = figure.subplots(2 * bands, columns, squeeze=False)
        for axes in grid.flat:
            axes.set_visible(False)
        for place, group in enumerate(series):
            band, column = divmod(place, columns)
            upper, lower = grid[2 * band][column], grid[2 * band + 1][column]
            if baseline and not group.results[0].evaluation.is_baseline:
                _draw_run(upper, lower, baseline, theme.faint, "baseline")
            for result, colour in zip(group.results, ramp(len(group.results), theme), strict=True):
                _draw_run(upper, lower, result, colour, lock_text(result.lock))
            upper.set_title(group.label)
            upper.set_ylim(0, _highest(results, lambda e: e.val_miou))
            lower.set_ylim(0, _highest(results, lambda e: max(e.val_loss, e.train_loss)))
            lower.set_xlabel("epoch")
            legend = lower.legend(loc="upper right", fontsize=8, handlelength=1.2, frameon=True)
            legend.get_frame().set(facecolor=theme.paper, edgecolor="none", alpha=0.8)
            if column == 0:
                upper.set_ylabel("validation mean IoU")
                lower.set_ylabel("loss (dashed: training)")
            for axes in (upper, lower):
                axes.set_visible(True)
                axes.grid(axis="y")
                axes.xaxis.get_major_locator().set_params(integer=True)


def ramp(count: int, theme: Theme) -> list[tuple[float, float, float, float]]:
    """Colours for ``count`` lines in order, from dark to light, as RGBA in 0..1."""
    import matplotlib

    low = 0.45 if theme.is_dark else 0.15
    steps = [low + 0.5 * place / max(count - 1, 1) for place in range(count)]
    return [matplotlib.colormaps["viridis"](step) for step in steps]


def _highest(results: Sequence[LockResult], read: Callable[[Epoch], float]) -> float:
    """The top of an axis; a loss that shot up at the start must not flatten all the rest."""
    values = sorted(value for r in results for line in r.history if (value := read(line)) > 0)
    return values[math.ceil(0.98 * len(values)) - 1] * 1.12 if values else 1.0


def _draw_run(upper: Axes, lower: Axes, result: LockResult, colour: object, label: str) -> None:
    epochs, _, training, validation, miou = zip(*result.history, strict=True)
    upper.plot(epochs, miou, color=colour, linewidth=1.5)
    lower.plot(epochs, validation, color=colour, linewidth=1.5, label=label)
    lower.plot(epochs, training, color=colour, linewidth=1.1, linestyle="--")
    for line in result.history:
        if line.epoch == result.training.best_epoch:
            upper.plot(line.epoch, line.val_miou, "o", color=colour, markersize=5)
