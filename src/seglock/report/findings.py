"""What is wrong with locks, in sentences. What the figures say besides is in findings.html."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from seglock.report.numbers import bits, is_searchable, plans

TRIED_IN_HOURS = 24  # bits: 2**24 plans at a thousand a second take under five hours


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
