"""table.csv and table.tex: the tables for spreadsheets and for papers."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from typing import Any

from seglock.report.numbers import four
from seglock.report.paper import Table1
from seglock.report.templating import render

_CSV_FIELDS = (
    "lock",
    "method",
    "steps",
    "block_size",
    "key_space_bits",
    "owner_miou",
    "drop",
    "plain",
    "plain_bn",
    "incorrect_mean",
    "incorrect_std",
    "incorrect_p95",
    "incorrect_max",
    "incorrect_keys",
    "plain_refused",
    "plain_bn_refused",
    "incorrect_refused",
    "unauthorised",
    "regained",
    "floor_constant",
    "floor_prior",
    "run_id",
)


def to_csv(summary: Mapping[str, Any]) -> str:
    """One line a lock; figures with four decimals, empty where there is none."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(_CSV_FIELDS)
    for figures in summary["locks"].values():
        writer.writerow([_csv_cell(figures[field]) for field in _CSV_FIELDS])
    return out.getvalue()


def _csv_cell(value: Any) -> str:
    if isinstance(value, float):
        return four(value)
    if isinstance(value, list):
        return " ".join(value)
    return "" if value is None else str(value)


def to_latex(summary: Mapping[str, Any], table: Table1) -> str:
    r"""Two booktabs tables to ``\input``: accuracy beside the paper's, and access control."""
    return render("table.tex", summary=summary, table=table) + "\n"
