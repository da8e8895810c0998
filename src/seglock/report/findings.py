"""What the figures say, in sentences: the first thing a reader of the page sees."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from seglock.report.numbers import bits, four, is_searchable, plans

Figures = Mapping[str, Any]
TRIED_IN_HOURS = 24  # bits: 2**24 plans at a thousand a second take under five hours


def findings(summary: Mapping[str, Any]) -> list[str]:
    """A few sentences: baseline and floor, the best locks, and what the search recommends."""
    locks: list[Figures] = [f for f in summary["locks"].values() if f["steps"]]
    sentences = [
        f"Unlocked, the model reaches a mean IoU of {four(figures['owner_miou'])} for everyone. "
        f"No model at all reaches {four(figures['floor'])}, the floor."
        for figures in summary["locks"].values()
        if not figures["steps"]
    ]
    searched = [summary["search"]["recommendation"]["sentence"]] if summary["search"] else []
    if not locks:
        return [*sentences, "There is no lock yet; add one under locks: in params.yaml.", *searched]
    best = max(locks, key=lambda figures: figures["owner_miou"])
    sentences.append(f"Most accurate for its owner: {_describe(best)}")
    judged = [figures for figures in locks if figures["regained"] is not None]
    if judged:
        tight = min(judged, key=lambda figures: figures["regained"])
        if tight is best:
            sentences.append(f"The same lock, {tight['lock']}, also gives a thief least.")
        else:
            sentences.append(f"Least for a thief: {_describe(tight)}")
    return [*sentences, *(f"Trade-off search. {sentence}" for sentence in searched)]


def warnings(summary: Mapping[str, Any]) -> list[str]:
    """Locks that do not protect, each with the reason."""
    found = []
    for figures in summary["locks"].values():
        size, regained = figures["key_space_bits"], figures["regained"]
        if is_searchable(size):
            verdict = (
                "all of them can be tried, so its key is no protection."
                if size < TRIED_IN_HOURS
                else "fewer than the 2⁶⁴ beyond which trying all is out of reach."
            )
            found.append(
                f"{figures['lock']} has only {plans(size)} different plans ({bits(size)} bits): "
                f"{verdict}"
            )
        if regained is not None and regained > 0.5:
            found.append(
                f"{figures['lock']} lets a thief regain {regained:.0%} of its owner's lead "
                "without the key."
            )
    return found


def _describe(figures: Figures) -> str:
    text = f"{figures['lock']}, {four(figures['owner_miou'])} with its key"
    if figures["drop"] is not None:
        drop = figures["drop"]
        side = "below" if drop > 0 else "above"
        text += f" ({four(abs(drop))} {side} the baseline)"
    if figures["unauthorised"] is not None:
        text += f", about {four(figures['unauthorised'])} without it"
    if figures["regained"] is not None:
        text += f"; a thief regains {figures['regained']:.0%} of the owner's lead over the floor"
    return text + "."
