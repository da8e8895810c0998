"""What the masks of each split hold, and what follows from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from seglock.data.layout import VOID
from seglock.data.problems import Problem

_SHOWN, _SHOWN_RUNS = 5, 12
Pixels = Mapping[str, np.ndarray]
"""For each split how many pixels each of the 256 labels has, (256,) int64."""


def count_labels(mask: np.ndarray) -> np.ndarray:
    """How many pixels each label has: (256,) int64."""
    return np.bincount(mask.ravel(), minlength=256)


def class_problems(pixels: Pixels, classes: Sequence[str]) -> list[Problem]:
    """Splits with fewer than two classes: a model that always says the one scores 1.0 there.

    >>> pixels = np.zeros(256, np.int64)
    >>> pixels[[0, 255]] = 30, 12
    >>> print(class_problems({"val": pixels}, ["background", "polyp"])[0].message[:54])
    only background occurs beside 12 pixels of void (255);
    """
    problems = []
    for split, counts in pixels.items():
        occurring = [name for name, count in zip(classes, counts, strict=False) if count]
        if len(occurring) < 2 and counts.any():
            what = f"only {occurring[0]} occurs" if occurring else "no class occurs"
            message = (
                f"{what} beside {counts[VOID]} pixels of void ({VOID}); "
                f"an object needs its class index, 1..{len(classes) - 1}, its name in data.classes "
                "if that is set, and a pixel at data.image_side"
            )
            problems.append(Problem("fewer than two classes", split, message))
    return problems


def labels_seen(pixels: Pixels) -> str:
    """Which labels the masks have, for whoever has to name them.

    >>> pixels = np.zeros(256, np.int64)
    >>> pixels[[0, 1, 2, 7, 255]] = 30, 5, 5, 1, 12
    >>> labels_seen({"train": pixels})
    '; its masks have the labels 0 to 2, 7, and 255, which is void'
    """
    seen = np.flatnonzero(sum(pixels.values(), np.zeros(256, np.int64)))
    labels = seen[seen != VOID]
    if not len(labels):
        return ""
    runs = np.split(labels, np.flatnonzero(np.diff(labels) > 1) + 1)
    shown = [f"{run[0]} to {run[-1]}" if len(run) > 1 else f"{run[0]}" for run in runs]
    some = ", ".join(shown[:_SHOWN_RUNS]) + ", ..." * (len(shown) > _SHOWN_RUNS)
    void = f", and {VOID}, which is void" * (VOID in seen)
    return f"; its masks have the labels {some}{void}"


def class_notes(pixels: Pixels, classes: Sequence[str]) -> list[str]:
    """Which classes have no pixel in which split."""
    notes = []
    for split, counts in pixels.items():
        absent = [name for name, count in zip(classes, counts, strict=False) if not count]
        if absent and counts.any():
            notes.append(f"{split}: no pixel of {', '.join(absent)}")
    return notes


@dataclass
class Remarks:
    """What was seen in a dataset that is no fault by itself, but may not be what was meant."""

    pixels: dict[str, np.ndarray] = field(default_factory=dict)
    void: list[str] = field(default_factory=list)
    turned: list[str] = field(default_factory=list)
    recoloured: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    _colours: dict[int, tuple[int, ...]] = field(default_factory=dict)
    _labels: dict[tuple[int, ...], int] = field(default_factory=dict)

    def add_mask(
        self, split: str, name: str, counts: np.ndarray, palette: Sequence[int] | None
    ) -> None:
        """Count a mask; ``palette`` has its colours, flat, where it has any."""
        self.pixels[split] = self.pixels.get(split, np.zeros(256, np.int64)) + counts
        labels = set(np.flatnonzero(counts).tolist()) - {VOID}
        if not labels:
            self.void.append(name)
        entries = [tuple((palette or ())[i : i + 3]) for i in range(0, len(palette or ()), 3)]
        # What fills up a palette stands for no class.
        colours = {
            n: rgb for n, rgb in enumerate(entries) if n in labels and entries.count(rgb) < 2
        }
        if any(self._colours.setdefault(label, rgb) != rgb for label, rgb in colours.items()):
            self.recoloured.append(name)
        for label, rgb in colours.items():
            known = self._labels.setdefault(rgb, label)
            if known != label:
                message = (
                    f"colour {rgb} is label {label} here and {known} in masks before it, so one of "
                    "them is no class index; save all masks with one palette"
                )
                self.problems.append(Problem("palettes that contradict", name, message))
                return

    def notes(self) -> list[str]:
        """One line each, for people to judge."""
        seen = {
            "images turned by their EXIF orientation, as viewers show them; masks must be drawn on "
            "that view": self.turned,
            "masks that are void everywhere": self.void,
            "palette masks that give a label another colour than masks before them; are their "
            "labels class indices?": self.recoloured,
        }
        return [
            f"{text} ({len(names)}): {', '.join(names[:_SHOWN])}" + ", ..." * (len(names) > _SHOWN)
            for text, names in seen.items()
            if names
        ]
