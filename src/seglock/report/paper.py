"""The paper's Table 1, and ours in the same layout: block side by method."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from seglock.methods import METHODS
from seglock.steps import image_steps

Cells = Mapping[tuple[int, str], float]
PUBLISHED_DATASET = "voc2012"
PAPER_METHODS = ("shf", "np", "ffx")  # the columns of the paper's table; ours are METHODS


@dataclass(frozen=True)
class Table1:
    """Mean IoU by (block side, method), ours and the paper's, both baselines, and our floors.

    ``methods`` are the columns of ours, ``paper_methods`` those of the paper's.
    """

    methods: tuple[str, ...]
    paper_methods: tuple[str, ...]
    block_sizes: tuple[int, ...]
    measured: Cells
    published: Cells
    footer: tuple[tuple[str, float | None, float | None], ...]  # what, ours, the paper's
    elsewhere: tuple[str, ...]  # locks that are no cell of this table


@cache
def published_table() -> tuple[Cells, float]:
    """The paper's Table 1: the protected models by (block side, method), and the baseline."""
    text = (resources.files("seglock.report") / "paper_table1.csv").read_text(encoding="utf-8")
    rows = list(csv.DictReader(text.splitlines()))
    cells: dict[tuple[int, str], float] = {
        (int(row["block_size"]), method): float(row[method])
        for row in rows
        for method in PAPER_METHODS
    }
    return cells, float(rows[0]["baseline"])


def table1(summary: Mapping[str, Any]) -> Table1:
    """Lay summary.json's figures out like the paper's Table 1.

    A lock has a cell if it is one step with the paper's share of positions and does not refuse; of
    several locks for the same cell the first listed is shown, the others are named in
    ``elsewhere``.
    """
    published, published_baseline = published_table()
    measured: dict[tuple[int, str], float] = {}
    baseline = None
    elsewhere = []
    for name, figures in summary["locks"].items():
        steps = image_steps(figures["steps"])
        if not figures["steps"]:
            baseline = figures["owner_miou"]
        elif len(figures["steps"]) > 1 or figures["refuse"]:
            elsewhere.append(name)
        elif steps and steps[0].percent is None:
            cell = (steps[0].block_size, steps[0].method)
            if cell in measured:
                elsewhere.append(name)
            measured.setdefault(cell, figures["owner_miou"])
        else:
            elsewhere.append(name)
    floors = next(iter(summary["locks"].values()))  # of the data, so every lock's are the same
    sides = {side for side, _ in measured} | {side for side, _ in published}
    return Table1(
        methods=tuple(METHODS),
        paper_methods=PAPER_METHODS,
        block_sizes=tuple(sorted(sides)),
        measured=measured,
        published=published,
        footer=(
            ("Baseline", baseline, published_baseline),
            ("Floor, constant", floors["floor_constant"], None),  # the paper has no floors
            ("Floor, prior", floors["floor_prior"], None),
        ),
        elsewhere=tuple(elsewhere),
    )
