"""The columns of the headline table: columns.csv says what each means, this how it is filled."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any

from seglock.report.numbers import NOTHING, bits, four
from seglock.steps import lock_text

Figures = Mapping[str, Any]


def _steps(figures: Figures) -> str:
    notes = []
    if figures["ffx_divisor"] is not None:
        notes.append(f"FFX / {figures['ffx_divisor']}")
    if figures["refuse"]:
        notes.append(f"refuses, {figures['refuse']:g}")
    text = ", ".join(figures["steps"]) or "none"
    return f"{text} ({'; '.join(notes)})" if notes else text


def _incorrect(figures: Figures) -> str:
    if figures["incorrect_mean"] is None:
        return NOTHING
    return f"{four(figures['incorrect_mean'])} ± {four(figures['incorrect_std'])}"


# How a lock's figures fill a column that is no mean IoU.
_FILLS: Mapping[str, Callable[[Figures], str]] = {
    "lock": lambda figures: lock_text(figures["lock"]),
    "steps": _steps,
    "block_size": lambda figures: str(figures["block_size"] or NOTHING),
    "key_space_bits": lambda figures: bits(figures["key_space_bits"]),
    "incorrect_mean": _incorrect,
}


@dataclass(frozen=True)
class Column:
    """One column: its heading, and what it means."""

    key: str
    title: str
    meaning: str

    @property
    def is_number(self) -> bool:
        """False for a column of words."""
        return self.key not in ("lock", "steps")

    def text(self, figures: Figures) -> str:
        """A lock's cell."""
        fill = _FILLS.get(self.key)
        return fill(figures) if fill else four(figures[self.key])


_TEXT = (resources.files("seglock.report") / "columns.csv").read_text(encoding="utf-8")
COLUMNS = tuple(Column(**row) for row in csv.DictReader(_TEXT.splitlines()))
