"""Two small figures of a study: hypervolume over trials, and what decides the objectives."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from seglock.report.style import CORRECT, LIGHT, PLAIN, Theme, canvas, say
from seglock.results.study import Study

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_SIZE = (5.6, 3.5)
_TARGETS = (("owner_miou", "owner", CORRECT), ("unauthorised", "unauthorised", PLAIN))
_WORDS = {"steps": "method", "block_size": "block side", "lr": "learning rate"}


def draw_hypervolume(study: Study, path: Path, *, theme: Theme = LIGHT) -> None:
    """Draw the hypervolume after each trial against both references, as a PNG.

    Ticks below mark the trials that were stopped early, crosses those that failed.
    """
    with canvas(path, *_SIZE, theme) as figure:
        axes = figure.add_subplot()
        axes.set_title("Hypervolume over trials")
        top = 0.0
        for name, volume, look in (
            ("thief at the baseline", study.hypervolume.baseline, CORRECT),
            ("thief at the floor", study.hypervolume.floor, PLAIN),
        ):
            if not volume.values:
                continue
            numbers = range(1, len(volume.values) + 1)
            values = [value for _, value in volume.values]
            top = max(top, *values)
            axes.plot(
                numbers,
                values,
                color=theme.colour(look),
                drawstyle="steps-post",
                label=f"Reference: {name}",
            )
            axes.plot(numbers[-1], values[-1], "o", color=theme.colour(look), markersize=4)
            axes.annotate(
                f"{values[-1]:.4f}",
                (numbers[-1], values[-1]),
                xytext=(5, 0),
                textcoords="offset points",
                va="center",
                fontsize=8.5,
            )
        if top == 0 and not study.measured:
            say(axes, "Nothing measured yet")
        else:
            _finish_hypervolume(figure, axes, study, top, theme)


def _finish_hypervolume(figure: Figure, axes: Axes, study: Study, top: float, theme: Theme) -> None:
    from matplotlib.ticker import MaxNLocator

    states = [trial.state for trial in study.trials]
    for state, marker, words in (("stopped", "|", "Stopped early"), ("failed", "x", "Failed")):
        places = [place + 1 for place, found in enumerate(states) if found == state]
        if places:
            axes.plot(
                places,
                [-0.05 * (top or 1)] * len(places),
                marker,
                color=theme.faint,
                markersize=6,
                linestyle="none",
                label=words,
            )
    axes.set_ylim(-0.1 * (top or 1), 1.15 * (top or 1))
    axes.set_xlim(0.5, len(states) + 0.5 + 0.12 * len(states))
    axes.set_xlabel("trials")
    axes.set_ylabel("area, mean IoU²")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(axis="y")
    figure.legend(loc="outside lower left", ncols=2, fontsize=8.5)


def draw_importances(study: Study, path: Path, *, theme: Theme = LIGHT) -> None:
    """Draw the share of each objective's variance that a parameter explains, as a PNG."""
    shares = study.importances or {}
    targets = [target for target in _TARGETS if target[0] in shares]
    names = dict.fromkeys(name for found in shares.values() for name in found)
    ranked = sorted(names, key=lambda name: sum(f.get(name, 0.0) for f in shares.values()))
    with canvas(path, *_SIZE, theme) as figure:
        axes = figure.add_subplot()
        axes.set_title("What decides the figures")
        if not targets:
            say(axes, study.importances_reason or "Nothing to tell")
        else:
            height = 0.8 / len(targets)
            for shift, (target, label, look) in enumerate(targets):
                up = height * ((len(targets) - 1) / 2 - shift)
                places = [place + up for place in range(len(ranked))]
                values = [shares[target].get(name, 0.0) for name in ranked]
                axes.barh(
                    places, values, height * 0.9, color=theme.colour(look), label=f"of {label}"
                )
                for place, value in zip(places, values, strict=True):
                    axes.text(value + 0.012, place, f"{value:.0%}", va="center", fontsize=8.5)
            axes.set_yticks(
                range(len(ranked)), [_WORDS.get(name, name.replace("_", " ")) for name in ranked]
            )
            axes.tick_params(axis="y", length=0)
            axes.set_xlim(0, 1.08)
            axes.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "25%", "50%", "75%", "100%"])
            axes.set_xlabel("share of the variance between trials")
            axes.grid(axis="x")
            figure.legend(loc="outside lower left", ncols=2, fontsize=8.5)
