"""``seglock track``: runs on record, and sending to MLflow what it could not take at the time."""

from __future__ import annotations

from typing import Annotated

import typer

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Runs as recorded in .seglock/runs, and sending to MLflow what is not there yet.",
)


@app.command("sync")
def sync_command(
    run: Annotated[
        str, typer.Argument(help="A run's id, the start of one, or a trained lock's name.")
    ],
) -> None:
    """Send what MLflow lacks of a run; a second time sends nothing."""
    from seglock.config import PARAMS_FILE, TrackingParams, load_params
    from seglock.tracking import find_run, project_root, sync_run

    root = project_root()
    path = root / PARAMS_FILE
    params = load_params(path).tracking if path.exists() else TrackingParams()
    done = sync_run(find_run(run, root), root=root, params=params)
    typer.echo(f"run {done.run_id}: {_entries(done.sent)} sent to {done.store}")
    if done.store_run_id != done.run_id:
        typer.echo(f"it is run {done.store_run_id} there")
    for refused in done.refused:
        typer.echo(f"refused by the store: {refused}", err=True)


@app.command("list")
def list_command(
    everything: Annotated[
        bool, typer.Option("--all", help="Also list the runs that are complete in MLflow.")
    ] = False,
) -> None:
    """List the runs with entries that MLflow lacks."""
    from datetime import datetime

    from seglock.tracking import list_runs, project_root

    runs = list_runs(project_root())
    shown = [run for run in runs if everything or run.unsent]
    for run in shown:
        began = datetime.fromtimestamp(run.started / 1000).astimezone()
        state = "ended" if run.ended else "open"
        typer.echo(
            f"{run.run_id}  {began:%Y-%m-%d %H:%M}  {state:<5}  "
            f"{_entries(run.unsent)} unsent  {run.name}"
        )
    if shown and not everything:
        typer.echo("send them with `seglock track sync RUN`")
    elif not shown:
        typer.echo(f"nothing is unsent; {len(runs)} {_plural(len(runs), 'run')} on record")


def _entries(count: int) -> str:
    return f"{count} {_plural(count, 'entry', 'entries')}"


def _plural(count: int, one: str, many: str | None = None) -> str:
    return one if count == 1 else many or f"{one}s"
