"""table.csv and table.tex: the tables for spreadsheets and for papers."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

from seglock.report.numbers import bits, four
from seglock.report.paper import Table1

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
    "unauthorised",
    "regained",
    "floor_constant",
    "floor_prior",
    "run_id",
)
_ESCAPES = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
}
_NONE = "--"


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


def escape_latex(text: str) -> str:
    r"""Text for LaTeX, every special character escaped.

    >>> print(escape_latex("50%_off & more"))
    50\%\_off \& more
    """
    return "".join(_ESCAPES.get(character, character) for character in text)


def to_latex(summary: Mapping[str, Any], table: Table1) -> str:
    r"""Two booktabs tables to ``\input``: accuracy beside the paper's, and access control."""
    dataset = escape_latex(summary["dataset"])
    models = escape_latex(", ".join(summary["models"]))
    return (
        "% Written by seglock from result files. Needs \\usepackage{booktabs}.\n"
        + _accuracy(table, dataset, models)
        + "\n"
        + _access_control(summary, dataset, models)
    )


def _accuracy(table: Table1, dataset: str, models: str) -> str:
    ours, published = len(table.methods), len(table.paper_methods)
    head = " & ".join(method.upper() for method in (*table.methods, *table.paper_methods))
    lines = [
        r"\begin{table}",
        r"  \centering",
        rf"  \caption{{Mean IoU of protected models with the correct key: measured on {dataset} "
        rf"({models}), and as published (VOC 2012, FCN-ResNet50).}}",
        r"  \label{tab:seglock-accuracy}",
        rf"  \begin{{tabular}}{{r{'c' * (ours + published)}}}",
        r"    \toprule",
        rf"    & \multicolumn{{{ours}}}{{c}}{{Measured}} "
        rf"& \multicolumn{{{published}}}{{c}}{{Published}} \\",
        rf"    \cmidrule(lr){{2-{1 + ours}}} \cmidrule(lr){{{2 + ours}-{1 + ours + published}}}",
        rf"    $M$ & {head} \\",
        r"    \midrule",
    ]
    for side in table.block_sizes:
        cells = [four(table.measured.get((side, name)), _NONE) for name in table.methods]
        cells += [four(table.published.get((side, name)), _NONE) for name in table.paper_methods]
        lines.append(rf"    {side} & {' & '.join(cells)} \\")
    lines.append(r"    \midrule")
    lines += [
        rf"    {what} & \multicolumn{{{ours}}}{{c}}{{{four(measured, _NONE)}}} "
        rf"& \multicolumn{{{published}}}{{c}}{{{four(theirs, _NONE)}}} \\"
        for what, measured, theirs in table.footer
    ]
    lines += [r"    \bottomrule", r"  \end{tabular}", r"\end{table}"]
    return "\n".join(lines) + "\n"


def _access_control(summary: Mapping[str, Any], dataset: str, models: str) -> str:
    floor = four(next(iter(summary["locks"].values()))["floor"])
    lines = [
        r"\begin{table}",
        r"  \centering",
        rf"  \caption{{Access control on {dataset} ({models}), mean IoU; floor {floor}. "
        r"Bits: size of the key space. BN: batch-norm statistics re-estimated.}",
        r"  \label{tab:seglock-access-control}",
        r"  \begin{tabular}{lrccccccc}",
        r"    \toprule",
        r"    Lock & Bits & Correct & Plain & Plain, BN & Incorrect & p95 "
        r"& Unauth. & Regained \\",
        r"    \midrule",
    ]
    lines += [_access_row(figures) for figures in summary["locks"].values()]
    lines += [r"    \bottomrule", r"  \end{tabular}", r"\end{table}"]
    return "\n".join(lines) + "\n"


def _access_row(figures: Mapping[str, Any]) -> str:
    incorrect = _NONE
    if figures["incorrect_mean"] is not None:
        spread = four(figures["incorrect_std"])
        incorrect = rf"${four(figures['incorrect_mean'])} \pm {spread}$"
    names: Sequence[str] = ("incorrect_p95", "unauthorised", "regained")
    cells = [
        escape_latex(figures["lock"]),
        bits(figures["key_space_bits"], _NONE),
        four(figures["owner_miou"], _NONE),
        four(figures["plain"], _NONE),
        four(figures["plain_bn"], _NONE),
        incorrect,
        *(_signed(figures[name]) for name in names),
    ]
    return f"    {' & '.join(cells)} \\\\"


def _signed(value: float | None) -> str:
    text = four(value, _NONE)
    return f"${text}$" if value is not None and text.startswith("-") else text
