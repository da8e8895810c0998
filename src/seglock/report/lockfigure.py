"""The access-control figure of one lock, which its MLflow run carries too."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from seglock.report.style import (
    CORRECT,
    INCORRECT,
    LIGHT,
    PLAIN,
    PLAIN_BN,
    Access,
    Theme,
    canvas,
)
from seglock.results.evaluation import Evaluation, KeyScores
from seglock.steps import lock_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_BAR = 0.52
_GOLDEN = 0.6180339887498949


def draw_lock_figure(result: Evaluation, path: Path, *, theme: Theme = LIGHT) -> None:
    """Draw one bar for each access to a lock's model, every wrong key as a dot, and the floors.

    Writes a PNG to ``path``.
    """
    scores = result.scores
    rows: list[tuple[Access, str, float]] = []
    if scores.correct:
        rows.append((CORRECT, CORRECT.label, scores.correct.miou))
    rows.append((PLAIN, "Plain" if result.is_baseline else PLAIN.label, scores.plain.miou))
    if scores.plain_bn:
        rows.append((PLAIN_BN, "Plain, batch norm\nre-estimated", scores.plain_bn.miou))
    if scores.incorrect:
        word = "all other plans" if scores.incorrect.all_plans else "incorrect keys"
        rows.append((INCORRECT, f"{scores.incorrect.keys} {word}\n(mean)", scores.incorrect.mean))
    with canvas(path, 7.2, 1.75 + 0.55 * len(rows), theme) as figure:
        axes = figure.add_subplot()
        top = max([value for *_, value in rows] + [scores.floors.floor])
        for place, (access, _, value) in enumerate(rows):
            axes.barh(place, value, _BAR, color=theme.colour(access), zorder=2)
            reach = value
            if access is INCORRECT and scores.incorrect:
                _draw_keys(axes, place, scores.incorrect, theme)
                reach = max(value, scores.incorrect.max)
                top = max(top, reach)
            text = f"  {value:.4f}"
            axes.text(reach, place, text, va="center", ha="left", zorder=5, fontweight="bold")
        for name, style in (("constant", ":"), ("prior", "--")):
            floor = getattr(scores.floors, name)
            label = f"Floor, {name}: {floor:.4f}"
            axes.axvline(floor, color=theme.faint, linestyle=style, zorder=3, label=label)
        axes.set_yticks(range(len(rows)), [label for _, label, _ in rows])
        axes.tick_params(axis="y", length=0)
        axes.set_ylim(len(rows) - 0.45, -0.55)
        axes.set_xlim(0, min(1.12, top * 1.16) if top else 1)
        axes.set_xlabel("mean IoU on the test split")
        axes.grid(axis="x")
        axes.set_title(f"{lock_text(result.lock)} · {result.dataset} · {result.model}", loc="left")
        figure.legend(loc="outside lower center", ncols=2)


def _draw_keys(axes: Axes, place: int, incorrect: KeyScores, theme: Theme) -> None:
    # Dots are spread across the bar by a fixed low-discrepancy sequence: no two runs differ.
    heights = [place + _BAR * 0.8 * ((i * _GOLDEN) % 1 - 0.5) for i in range(len(incorrect.miou))]
    axes.scatter(
        incorrect.miou,
        heights,
        s=14,
        color=theme.paper,
        edgecolors=theme.ink,
        linewidths=0.6,
        zorder=4,
        label="One incorrect key",
    )
    axes.plot(
        [incorrect.p95] * 2,
        [place - _BAR / 2, place + _BAR / 2],
        color=theme.ink,
        linewidth=2,
        zorder=3,
        solid_capstyle="butt",
        label=f"95th percentile of them: {incorrect.p95:.4f}",
    )
