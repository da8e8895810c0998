"""``seglock track``: runs on record, and telling MLflow what it could not take at the time."""

from __future__ import annotations

from typing import Annotated

import typer

from seglock.cli.terminal import AsJson, print_json

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Runs as recorded in .seglock/runs, and telling MLflow what it lacks of them.",
)


@app.command("sync")
def sync_command(
    run: Annotated[
        str, typer.Argument(help="A run's id, the start of one, or a trained lock's name.")
    ],
) -> None:
    """Tell MLflow what it lacks of a run, from its result files; a second time tells nothing."""
    from seglock.address import project_root
    from seglock.stages.track import sync_run

    record, told = sync_run(run, project_root())
    has = "has all of it now" if told else "had all of it already"
    typer.echo(f"run {record.run_id}: {record.store} {has}")
    if record.store_run_id != record.run_id:
        typer.echo(f"it is run {record.store_run_id} there")


@app.command("list")
def list_command(
    everything: Annotated[
        bool, typer.Option("--all", help="Also list the runs that are complete in MLflow.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """List the runs that MLflow does not have all of."""
    from datetime import datetime

    from seglock.address import project_root
    from seglock.stages.track import list_runs

    runs = list_runs(project_root())
    shown = [run for run in runs if everything or not run.complete]
    if as_json:
        named = ("run_id", "name", "status", "complete", "started", "ended", "store", "experiment")
        print_json([{name: getattr(run, name) for name in named} for run in shown])
        return
    for run in shown:
        began = datetime.fromtimestamp(run.started / 1000).astimezone()
        state = "complete" if run.complete else "incomplete"
        typer.echo(
            f"{run.run_id}  {began:%Y-%m-%d %H:%M}  {run.status:<8}  {state:<10}  {run.name}"
        )
    if shown and not everything:
        typer.echo("tell MLflow the rest with `seglock track sync RUN`")
    elif not shown:
        typer.echo(f"MLflow lacks nothing; {len(runs)} run{'s' * (len(runs) != 1)} on record")
