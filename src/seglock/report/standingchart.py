"""The first figure of the report: each lock's owner beside the strongest thief of each tier."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

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
)
from seglock.results.attack import TIERS, Tier
from seglock.steps import lock_text

_WIDTH = 6.4  # inches
_ROW = 0.4
_LOOKS: Mapping[Tier, Access] = {
    "T0": Access("T0: the model", *PLAIN[1:]),
    "T1": Access("T1: with labels", *INCORRECT[1:]),
    "T2": Access("T2: with ciphertexts", *PLAIN_BN[1:]),
    "T3": Access("T3: with pairs", "#b0578d", "#d58bb8", "v"),
}


def draw_standings(summary: Mapping[str, Any], path: Path, *, theme: Theme = LIGHT) -> None:
    """Draw mean IoU of owners and thieves, a line a lock, as a PNG.

    summary: summary.json's. Hollow: thieves with encrypted images, who count against no lock.
    """
    locks: Mapping[str, Any] = summary["standings"]["locks"]
    plain = next((one for one in summary["locks"].values() if not one["steps"]), None)
    with canvas(path, _WIDTH, 1.6 + _ROW * max(len(locks), 2), theme) as figure:
        axes = figure.add_subplot()
        if not locks:
            say(axes, "No lock yet: add one under locks: in params.yaml.")
            return
        axes.axvline(next(iter(summary["locks"].values()))["floor"], **theme.floor)
        if plain:
            axes.axvline(plain["owner_miou"], label="Baseline (unlocked)", **theme.reference)
        for place, (name, standing) in enumerate(locks.items()):
            figures = summary["locks"][name]
            values = [figures["owner_miou"], figures["floor"]]
            axes.plot(values, [place] * 2, color=theme.grid, linewidth=6, zorder=1)
            owner = theme.colour(CORRECT)
            axes.plot(figures["owner_miou"], place, "o", color=owner, ms=11, label="Owner")
            for tier in reversed(TIERS):
                if thief := standing["thieves"].get(tier):
                    look = _LOOKS[tier]
                    colour, counts = theme.colour(look), tier in ("T0", "T1")
                    axes.plot(
                        thief["miou"],
                        place,
                        look.marker,
                        markersize=8,
                        markerfacecolor=colour if counts else "none",
                        markeredgecolor=theme.paper if counts else colour,
                        markeredgewidth=0.8 if counts else 1.8,
                        label=look.label,
                        zorder=4,
                    )
        axes.set_yticks(range(len(locks)), [lock_text(name) for name in locks])
        axes.set_ylim(len(locks) - 0.5, -0.5)
        axes.tick_params(axis="y", length=0)
        axes.set_xlim(0, 1.04 * axes.get_xlim()[1])
        axes.set_xlabel("mean IoU on the test split")
        axes.grid(axis="x")
        handles = named_handles([axes])
        told = ("Owner", *(look.label for look in _LOOKS.values()))
        shown = sorted(handles, key=lambda name: told.index(name) if name in told else len(told))
        figure.legend([handles[name] for name in shown], shown, loc="outside lower center", ncols=3)
