"""``seglock report``: render the results and say where to look."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from rich.table import Table

_SHOWN = (
    "lock",
    "key_space_bits",
    "owner_miou",
    "drop",
    "plain",
    "plain_bn",
    "incorrect_mean",
    "unauthorised",
    "regained",
)


def report_command() -> None:
    """Render data/reports from the result files, print the table, and say where to look."""
    from rich.console import Console

    from seglock.stages.report import PAGE, REPORT_FOLDER, mlflow_ui, write_report

    root = Path.cwd()
    summary = write_report(root)
    console = Console()
    if not console.is_terminal:  # in a log the whole table matters more than a width
        console = Console(width=140)
    console.print(headline(summary))
    floor = next(iter(summary["locks"].values()))["floor"]
    typer.echo(f"Mean IoU on the test split of {summary['dataset']}; without a model: {floor:.4f}.")
    typer.echo("unauthorised: what a thief without the key should be expected to get.")
    typer.echo("regained: the share of the owner's lead a thief gets back; 0 is a perfect lock.\n")
    typer.echo(f"Report      {root / REPORT_FOLDER / PAGE}")
    if mlflow_ui() == "http://127.0.0.1:5000":
        store = "sqlite:///mlruns/mlflow.db"
        typer.echo(f"MLflow UI   mlflow ui --backend-store-uri {store} --host 127.0.0.1")
    else:
        typer.echo(f"MLflow UI   {mlflow_ui()}")
    typer.echo("Next        add a lock to params.yaml, then `dvc repro`; `seglock profile list`")


def headline(summary: dict[str, Any]) -> Table:
    """The main columns of the headline table, for a terminal."""
    from rich import box
    from rich.table import Table

    from seglock.report.columns import COLUMNS

    columns = [column for column in COLUMNS if column.key in _SHOWN]
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        side = "right" if column.is_number else "left"
        table.add_column(column.title, justify=side, no_wrap=True)  # type: ignore[arg-type]
    for figures in summary["locks"].values():
        table.add_row(*(column.text(figures) for column in columns))
    return table
