"""The figure of searches for the key: the best score so far over the queries spent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING

from seglock.report.attackcharts import count_axis
from seglock.report.charts import ramp
from seglock.report.method_style import lock_text
from seglock.report.style import LIGHT, Theme, canvas
from seglock.results.attack import AttackResult
from seglock.steps import parse_step

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COMBINED = "Combinations"
_WIDTHS = {1: 6.4, 2: 4.6, 3: 3.5, 4: 2.8}
_HEIGHT = 2.1
_LINE = 0.17  # inches of a line of the legend
_SMALL = 7.5
_STYLES = ("solid", "dashed")  # neighbours among the colours are told apart without them

_Look = tuple[tuple[float, float, float, float], str]


def with_course(results: Iterable[AttackResult]) -> list[AttackResult]:
    """The attacks that searched and kept the course of their best score."""
    return [result for result in results if result.course]


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
                    _draw_course(axes, result, looks[lock])
                count_axis(axes, 0.8 * first, last)
                axes.grid(axis="y")
                axes.tick_params(labelbottom=attack == attacks[-1])
                if column == 0:
                    scores = {r.score for r in results if r.attack == attack}
                    axes.set_ylabel(f"{attack}\n{' / '.join(sorted(scores))}")
            grid[0][column].set_title(family)
            grid[len(attacks) - 1][column].set_xlabel("queries")
            _draw_legend(grid[-1][column], looks)


def _draw_course(axes: Axes, result: AttackResult, look: _Look) -> None:
    queries, scores = zip(*result.course, strict=True)
    ends = [*queries, max(result.queries, queries[-1])]
    colour, style = look
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


def _draw_legend(axes: Axes, looks: Mapping[str, _Look]) -> None:
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
    parsed = {lock: [parse_step(step) for step in steps[lock]] for lock in dict.fromkeys(locks)}
    for lock, parts in sorted(parsed.items(), key=lambda item: item[1][0].block_size):
        name = parts[0].method.upper() if len(parts) == 1 else _COMBINED
        families.setdefault(name, []).append(lock)
    listed = [*dict.fromkeys(parts[0].method.upper() for parts in parsed.values()), _COMBINED]
    return {name: families[name] for name in listed if name in families}
