"""``seglock attack``: play the thief of one lock."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from seglock.cli.lock import LockName
from seglock.threads import give_way

if TYPE_CHECKING:
    from rich.table import Table

    from seglock.results.attack import AttackResult


def attack_command(
    lock: LockName,
    attack: Annotated[
        list[str] | None,
        typer.Option("--attack", "-a", help="Run this one only; may be given more than once."),
    ] = None,
    queries: Annotated[
        int | None,
        typer.Option(
            "--budget", "--queries", help="Queries of each attack, in place of params.yaml's."
        ),
    ] = None,
    seconds: Annotated[
        float | None,
        typer.Option(help="Seconds of each attack; whichever of the two comes first ends it."),
    ] = None,
    labelled: Annotated[
        list[float] | None,
        typer.Option(help="Percent of labelled images a thief may use; may be given repeatedly."),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="What the attacks draw from.")] = None,
) -> None:
    """Attack one lock, and say what a thief of each tier gets; goes on after what is finished."""
    give_way(partial(typer.echo, err=True))
    from rich.console import Console

    from seglock.stages.attack import attack_lock

    given = {"queries": queries, "seconds": seconds, "labelled": labelled, "seed": seed}
    overrides = {name: value for name, value in given.items() if value is not None}
    with _progress(lock) as progress:
        results = attack_lock(
            lock, Path.cwd(), only=attack or [], overrides=overrides, progress=progress
        )
    if not results:
        typer.echo(f"attack {lock}: no attack of params.yaml applies to it")
        return
    table, console = _table(results), Console()
    # A number cut short would be a wrong number: rather let the terminal wrap the line.
    needed = console.measure(table, options=console.options.update_width(1000)).maximum
    console.width = max(console.width, needed)
    console.print(table)
    typer.echo(
        f"Results in data/attacks/{lock}, exact figures, which are yours alone, in "
        f".seglock/attacks/exact/{lock}. A failure is a failure within its budget."
    )


def _table(results: Sequence[AttackResult]) -> Table:
    from rich import box
    from rich.table import Table

    from seglock.report.leaderboard import plan_text
    from seglock.report.numbers import four

    first = results[0]
    title = f"{first.lock}: owner {four(first.correct)}, floor {four(first.floor)}"
    table = Table(title=title, box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("Attack", no_wrap=True)
    table.add_column("Tier", no_wrap=True)
    for name in ("Queries", "Seconds", "Mean IoU", "Regained", "Plan"):
        table.add_column(name, justify="right", no_wrap=True)
    for result in results:
        table.add_row(
            result.attack,
            result.tier,
            f"{result.queries} {result.unit}",
            f"{result.seconds:.1f}",
            four(result.miou),
            four(result.regained),
            plan_text(result.document()),
        )
    return table


@contextlib.contextmanager
def _progress(lock: str) -> Iterator[Callable[[str, int, int], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    columns = (
        TextColumn("[bold]{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(f"attack {lock}")
        yield lambda name, done, total: bar.update(
            task, description=f"attack {lock}: {name}", completed=done, total=total
        )
