"""What is wrong with locks, and which refuse, in sentences. What the figures say besides is in
findings.html."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from seglock.report.numbers import bits, is_searchable, plans

TRIED_IN_HOURS = 24  # bits: 2**24 plans at a thousand a second take under five hours
REFUSES = 0.5
"""The share of images from which on a network is said to refuse: noise answers hardly any with one
class at every pixel."""


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


def refusals(summary: Mapping[str, Any]) -> list[str]:
    """Locks whose models refuse whoever has not the key, and what that tells."""
    return [
        f"{figures['lock']} refuses: without the key at least {figures['refused']:.0%} of the "
        "images are answered with one class alone. So a thief who tries a key sees that it is "
        "wrong: the key space must be too large to try."
        for figures in summary["locks"].values()
        if (figures.get("refused") or 0) >= REFUSES  # a report of an earlier version has none
    ]
