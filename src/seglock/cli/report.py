"""``seglock report``: render the results and say where to look."""

from __future__ import annotations

import os
import shlex
import textwrap
from pathlib import Path
from typing import Annotated

import typer

from seglock.cli.project import made_by, shown
from seglock.cli.terminal import AsJson, print_json, print_table


def report_command(
    show: Annotated[
        bool, typer.Option("--show", help="Print the last report's table; render nothing.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Render data/reports from the result files, print the table, and say where to look."""
    from seglock.report.findings import refusals, seeds, unlearnt, weak_keys
    from seglock.report.page import LOCAL_UI
    from seglock.report.standings import HEADINGS, row, sentences
    from seglock.stages.report import PAGE, REPORT_FOLDER, mlflow_ui, read_report, write_report

    root = Path.cwd()
    with made_by(""):
        summary = read_report(root) if show else write_report(root)
    if as_json:
        print_json(summary)
        return
    if not show and os.environ.get("DVC_STAGE"):  # one of many stages: leave the last word to DVC
        typer.echo(
            f"report: {root / REPORT_FOLDER / PAGE}; `seglock report --show` prints its table"
        )
        return
    locks, told = summary["locks"], summary["standings"]
    print_table(*HEADINGS, [row(lock, told["locks"].get(name)) for name, lock in locks.items()])
    first = next(iter(locks.values()))
    typer.echo(f"Mean IoU on the test split of {summary['dataset']}. Floors, without any model:")
    typer.echo(f"{first['floor_constant']:.4f} (constant), {first['floor_prior']:.4f} (prior).")
    notes = [f"Note: {sentence}" for sentence in [*seeds(summary), *refusals(summary)]]
    notes += [f"Weak: {sentence}" for sentence in [*unlearnt(summary), *weak_keys(summary)]]
    for sentence in (*sentences(told), *notes):
        typer.echo(textwrap.fill(sentence, 80, subsequent_indent="  ", break_on_hyphens=False))
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
