"""``seglock report``: render the results and say where to look."""

from __future__ import annotations

import os
import shlex
import textwrap
from pathlib import Path
from typing import Annotated

import typer

from seglock.cli.project import shown
from seglock.cli.terminal import print_table

# Heading in the terminal, and where its numbers are in summary.json: 80 characters must do.
_SHOWN = {
    "Owner": "owner_miou",
    "Drop": "drop",
    "Plain": "plain",
    "Plain,\nBN": "plain_bn",
    "Incor-\nrect": "incorrect_mean",
    "(p95)": "incorrect_p95",
    "Unauth-\norised": "unauthorised",
    "Regained": "regained",
}


def report_command(
    show: Annotated[
        bool, typer.Option("--show", help="Print the last report's table; render nothing.")
    ] = False,
) -> None:
    """Render data/reports from the result files, print the table, and say where to look."""
    from seglock.report.findings import refusals, warnings
    from seglock.report.numbers import four
    from seglock.report.page import LOCAL_UI
    from seglock.report.standings import sentences
    from seglock.stages.report import PAGE, REPORT_FOLDER, mlflow_ui, read_report, write_report

    root = Path.cwd()
    summary = read_report(root) if show else write_report(root)
    if not show and os.environ.get("DVC_STAGE"):  # one of many stages: leave the last word to DVC
        typer.echo(
            f"report: {root / REPORT_FOLDER / PAGE}; `seglock report --show` prints its table"
        )
        return
    locks = summary["locks"].values()
    figures = ((lock["lock"], *(four(lock[key]) for key in _SHOWN.values())) for lock in locks)
    print_table(["Lock"], list(_SHOWN), figures)
    first = next(iter(locks))
    typer.echo(f"Mean IoU on the test split of {summary['dataset']}. Floors, without any model:")
    typer.echo(f"{first['floor_constant']:.4f} (constant), {first['floor_prior']:.4f} (prior).")
    typer.echo("unauthorised: the most of plain images and wrong keys, the weakest thieves.")
    typer.echo("regained: the share of the owner's lead a thief gets back; 0 is a perfect lock.")
    told = summary.get("standings", {})  # a report of an earlier version has none
    if told:
        typer.echo("")
        typer.echo("The strongest thief of each tier, with what it regained in brackets:")
    for sentence in sentences(told):
        typer.echo(textwrap.fill(sentence, 80, subsequent_indent="  ", break_on_hyphens=False))
    if told and not any(standing["attacked"] for standing in told.values()):
        typer.echo("No attack was run: `dvc repro attack@LOCK` plays the thieves.")
    for sentence in refusals(summary):
        typer.echo(f"Note: {sentence}")
    for warning in warnings(summary):
        typer.echo(f"Weak: {warning}")
    search = summary.get("search")  # a report of an earlier version has none
    advice = search["recommendation"] if search else None
    if advice:
        typer.echo("")
        typer.echo(textwrap.fill(f"Search: {advice['sentence']}", 80, break_on_hyphens=False))
    typer.echo("")
    typer.echo(f"Report      {root / REPORT_FOLDER / PAGE}")
    if mlflow_ui() == LOCAL_UI:
        typer.echo(f"MLflow UI   mlflow ui --backend-store-uri {_store()} --host 127.0.0.1")
    else:
        typer.echo(f"MLflow UI   {mlflow_ui()}")
    if advice and advice["status"] == "recommended" and not advice["trained_as"]:
        typer.echo("Next        seglock search --apply, then `dvc repro` trains that lock in full")
    else:
        typer.echo(
            "Next        add a lock to params.yaml, then `dvc repro`; `seglock profile list`"
        )


def _store() -> str:
    """The tracking store as a word for the shell that the command was started in."""
    from seglock.address import project_root, sqlite_file, sqlite_uri, tracking_uri

    file = sqlite_file(tracking_uri(project_root()))
    return shlex.quote(sqlite_uri(shown(file))) if file else '"$MLFLOW_TRACKING_URI"'
