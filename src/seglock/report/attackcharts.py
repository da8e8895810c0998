"""Figures of attacks: shares of labels, the course of searches, and keys that are nearly right."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seglock.report.charts import one_legend, ramp
from seglock.report.method_style import look
from seglock.report.style import LIGHT, Theme, canvas
from seglock.results.attack import AttackResult
from seglock.steps import image_steps, lock_text, read_step

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Inches of a panel by how many stand in a row; four from ten panels on.
_PANELS = {1: (6.4, 3.3), 2: (4.8, 3.0), 3: (3.5, 2.5), 4: (2.75, 1.95)}
_MANY = 10
_ROOM = 1.08
_FINE = 100  # up to here an axis of counts has ticks at 2 and 5 too

_COMBINED = "Combinations"
_WIDTHS = {1: 6.4, 2: 4.6, 3: 3.5, 4: 2.8}
_HEIGHT = 2.1
_LINE = 0.17  # inches of a line of the legend
_SMALL = 7.5
_STYLES = ("solid", "dashed")  # neighbours among the colours are told apart without them

_Colour = tuple[float, float, float, float]
Points = list[tuple[float, float]]


def with_shares(results: Iterable[AttackResult]) -> list[AttackResult]:
    """The attacks that trained on shares of labelled images, beside training from scratch."""
    return [result for result in results if _shares(result, "theft")]


def with_changes(results: Iterable[AttackResult]) -> list[AttackResult]:
    """The analyses that changed the right key by more and more."""
    return [found for found in results if any(p.changes is not None for p in found.curve)]


def with_course(results: Iterable[AttackResult]) -> list[AttackResult]:
    """The attacks that searched and kept the course of their best score."""
    return [result for result in results if result.course]


def draw_shares(results: Sequence[AttackResult], path: Path, *, theme: Theme = LIGHT) -> None:
    """Draw mean IoU over the share of labelled images, one panel a lock, as a PNG.

    results: of `with_shares`. Solid: training from the stolen network; dashed: from scratch.
    """
    attacks = list(dict.fromkeys(result.attack for result in results))
    looks = {name: look(f"{name}: stolen network", place) for place, name in enumerate(attacks)}
    every = [p for r in results for source in ("theft", "scratch") for p in _shares(r, source)]
    ticks = {f"{percent:.{2 + (percent >= 10)}g}": percent for percent, _ in every}
    by_lock = {result.lock: result for result in results}
    with canvas(path, *_size(len(by_lock)), theme) as figure:
        for axes, lock in _panels(figure, by_lock, "labelled images, % of all", theme):
            mine = [result for result in results if result.lock == lock]
            for result in mine:
                access = looks[result.attack]
                style: dict[str, Any] = {"marker": access.marker, "markersize": 4.5}
                style["color"] = theme.colour(access)
                if scratch := _shares(result, "scratch"):
                    axes.plot(*zip(*scratch, strict=True), "--", lw=1.1, mfc=theme.paper, **style)
                stolen = zip(*_shares(result, "theft"), strict=True)
                axes.plot(*stolen, lw=1.6, label=access.label, **style)
            axes.plot([], [], "--", color=theme.faint, lw=1.1, label="The same from scratch")
            axes.set_xscale("log")
            axes.set_xticks(list(ticks.values()), list(ticks), minor=False)
            axes.minorticks_off()
            axes.margins(x=0.08)
            axes.set_ylim(0, _ROOM * max(*(y for _, y in every), *(r.correct for r in results)))
        one_legend(figure, _columns(len(by_lock)))


def draw_proximity(analyses: Sequence[AttackResult], path: Path, *, theme: Theme = LIGHT) -> None:
    """Draw mean IoU over the number of changes from the right key, one panel a lock, as a PNG.

    analyses: of `with_changes`. The line is the mean of several keys at each distance, the band
    their range; the axis is linear up to one change and logarithmic from there.
    """
    by_lock = {found.lock: found for found in analyses}
    access = look("Keys so far from the right one, mean", 3)
    reached = [max(p.miou, p.max or 0.0) for found in analyses for p in found.curve]
    farthest = max(p.changes or 0 for found in analyses for p in found.curve)
    with canvas(path, *_size(len(by_lock)), theme) as figure:
        for axes, lock in _panels(figure, by_lock, "changes from the right key", theme):
            points = sorted(
                (p.changes, p.miou, p.miou if p.min is None else p.min, p.max or p.miou)
                for p in by_lock[lock].curve
                if p.changes is not None
            )
            changes, mean, low, high = zip(*points, strict=True)
            colour = theme.colour(access)
            axes.fill_between(
                changes, low, high, color=colour, alpha=0.25, lw=0, label="Least to most of them"
            )
            axes.plot(
                changes, mean, marker="o", markersize=3.5, lw=1.6, color=colour, label=access.label
            )
            count_axis(axes, -0.15, farthest)
            axes.set_ylim(0, _ROOM * max(*reached, *(found.correct for found in analyses)))
        one_legend(figure, _columns(len(by_lock)))


def draw_courses(
    results: Sequence[AttackResult],
    steps: Mapping[str, Sequence[str]],
    path: Path,
    *,
    theme: Theme = LIGHT,
) -> None:
    """Draw the best score over queries, a row an attack and a column a method, as a PNG.

    results: of `with_course`. steps: of each lock. Scores of different attacks are no scores of
    one scale, so that each row has an axis of its own. A line ends where the attack ended.
    """
    attacks = list(dict.fromkeys(result.attack for result in results))
    families = _families([result.lock for result in results], steps)
    columns = len(families)
    legend = _LINE * (max(len(locks) for locks in families.values()) + 1)
    size = (_WIDTHS.get(columns, _WIDTHS[4]) * columns + 0.5, _HEIGHT * len(attacks) + legend)
    first = min(result.course[0][0] for result in results)
    last = max(max(result.queries, result.course[-1][0]) for result in results)
    heights = [_HEIGHT] * len(attacks) + [legend]
    with canvas(path, *size, theme) as figure:
        grid = figure.subplots(
            len(attacks) + 1, columns, squeeze=False, height_ratios=heights, sharey="row"
        )
        for column, (family, locks) in enumerate(families.items()):
            looks = dict(zip(locks, zip(ramp(len(locks), theme), cycle(_STYLES)), strict=False))
            for row, attack in enumerate(attacks):
                axes = grid[row][column]
                mine = {r.lock: r for r in results if r.attack == attack and r.lock in looks}
                for lock, result in mine.items():
                    _draw_course(axes, result, *looks[lock])
                count_axis(axes, 0.8 * first, last)
                axes.grid(axis="y")
                axes.tick_params(labelbottom=attack == attacks[-1])
                if column == 0:
                    scores = {r.score for r in results if r.attack == attack}
                    axes.set_ylabel(f"{attack}\n{' / '.join(sorted(scores))}")
            grid[0][column].set_title(family)
            grid[len(attacks) - 1][column].set_xlabel("queries")
            _draw_legend(grid[-1][column], looks)


def count_axis(axes: Axes, least: float, most: float) -> None:
    """A horizontal axis of counts: linear up to one, logarithmic from there, plain numbers."""
    from matplotlib.ticker import EngFormatter

    fractions = (1, 2, 5) if most <= _FINE else (1,)
    ticks = [0, *(f * 10**power for power in range(9) for f in fractions)]
    shown = [tick for tick in ticks if least <= tick <= most]
    axes.set_xscale("symlog", base=10, linthresh=1, linscale=0.4)
    axes.set_xticks(shown, minor=False)
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.minorticks_off()
    axes.set_xlim(least, 1.25 * max(most, 1))


def _shares(result: AttackResult, source: str) -> Points:
    """(percent of labelled images, mean IoU), ascending, of what was trained from ``source``."""
    return sorted(
        (100 * line.share, line.miou)
        for line in result.curve
        if line.source == source and line.share
    )


def _columns(count: int) -> int:
    return 4 if count >= _MANY else min(count, 3)


def _size(count: int) -> tuple[float, float]:
    columns = _columns(count)
    width, height = _PANELS[columns]
    return columns * width + 0.4, math.ceil(count / columns) * height + 0.7


def _panels(
    figure: Figure, by_lock: Mapping[str, AttackResult], x_label: str, theme: Theme
) -> Iterator[tuple[Axes, str]]:
    """A panel a lock; numbers stand at the left and under the last panel of each column only."""
    columns = _columns(len(by_lock))
    rows = math.ceil(len(by_lock) / columns)
    for place, (lock, result) in enumerate(by_lock.items()):
        axes = figure.add_subplot(rows, columns, place + 1)
        axes.set_title(lock_text(lock))
        axes.grid(axis="y")
        yield axes, lock
        axes.axhline(result.correct, label="Owner", **theme.reference)
        axes.axhline(result.floor, **theme.floor)
        if place % columns == 0:
            axes.set_ylabel("mean IoU")
        else:
            axes.tick_params(labelleft=False)
        if place + columns >= len(by_lock):
            axes.set_xlabel(x_label)
        else:
            axes.tick_params(labelbottom=False)


def _draw_course(axes: Axes, result: AttackResult, colour: _Colour, style: str) -> None:
    queries, scores = zip(*result.course, strict=True)
    ends = [*queries, max(result.queries, queries[-1])]
    # The mark is all there is to see where nothing was gained after the first score.
    axes.step(
        ends,
        [*scores, scores[-1]],
        where="post",
        color=colour,
        ls=style,
        lw=1.4,
        marker="o",
        ms=3,
        markevery=[0],
    )


def _draw_legend(axes: Axes, looks: Mapping[str, tuple[_Colour, str]]) -> None:
    from matplotlib.lines import Line2D

    axes.set_axis_off()
    axes.legend(
        handles=[
            Line2D([], [], color=colour, ls=style, label=lock_text(lock))
            for lock, (colour, style) in looks.items()
        ],
        loc="upper left",
        fontsize=_SMALL,
        borderaxespad=0,
    )


def _families(locks: Iterable[str], steps: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """Locks by their method, compositions together, each by growing block side."""
    families: dict[str, list[str]] = {}
    parsed = {lock: [read_step(step) for step in steps[lock]] for lock in dict.fromkeys(locks)}
    sides = {
        lock: max((step.block_size for step in image_steps(steps[lock])), default=0)
        for lock in parsed
    }
    for lock, parts in sorted(parsed.items(), key=lambda item: sides[item[0]]):
        name = parts[0].method.upper() if len(parts) == 1 else _COMBINED
        families.setdefault(name, []).append(lock)
    listed = [*dict.fromkeys(parts[0].method.upper() for parts in parsed.values()), _COMBINED]
    return {name: families[name] for name in listed if name in families}
