"""``seglock attack``: play the thief of a lock."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from seglock.cli.locks import LockOption, Locks, lock_names, stages_of
from seglock.cli.project import made_by
from seglock.cli.terminal import number, print_table, progress_bars
from seglock.threads import give_way

if TYPE_CHECKING:
    from seglock.results.attack import AttackResult


def attack_command(
    locks: Locks = None,
    lock: LockOption = None,
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
        list[str] | None,
        typer.Option(
            metavar="PERCENT",
            help="Percent of labelled images a thief may use, 10 or 10%; may be given repeatedly.",
        ),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="What the attacks draw from.")] = None,
) -> None:
    """Attack locks, and say what a thief of each tier gets; goes on after what is finished."""
    names = lock_names(locks, lock)
    give_way(partial(typer.echo, err=True))
    from seglock.stages.attack import attack_lock

    shares = [number(share) for share in labelled] if labelled else None
    given = {"queries": queries, "seconds": seconds, "labelled": shares, "seed": seed}
    overrides = {name: value for name, value in given.items() if value is not None}
    for name in names:
        with made_by(stages_of("attack", [name])), progress_bars() as progress:
            results = attack_lock(
                name, Path.cwd(), only=attack or [], overrides=overrides, progress=progress
            )
        if not results:
            typer.echo(f"attack {name}: no attack of params.yaml applies to it")
            continue
        _print_results(results)
        typer.echo(
            f"Results in data/attacks/{name}, exact figures, which are yours alone, in "
            f".seglock/attacks/exact/{name}. A failure is a failure within its budget."
        )


def _print_results(results: Sequence[AttackResult]) -> None:
    from seglock.report.findings import REFUSES
    from seglock.report.leaderboard import plan_text, share_text
    from seglock.report.numbers import four, signed
    from seglock.results.attack import beyond_scratch
    from seglock.steps import lock_text

    first = results[0]
    print_table(
        ("Attack", "Tier"),
        ("Queries", "Seconds", "Mean IoU", "Regained", "Plan"),
        (
            (
                result.attack,
                result.tier,
                f"{result.queries} {result.unit}",
                f"{result.seconds:.1f}",
                four(result.miou),
                four(result.regained),
                plan_text(result.document()),
            )
            for result in results
        ),
        title=f"{lock_text(first.lock)}: owner {four(first.correct)}, floor {four(first.floor)}",
    )
    refused = [result.attack for result in results if (result.refused or 0) >= REFUSES]
    if refused:
        typer.echo(f"Refused on at least {REFUSES:.0%} of the images: {', '.join(refused)}")
    for line in beyond_scratch(results):
        typer.echo(
            f"T1 on {share_text(line.document())}: {line.attack} has {signed(line.beyond)} beyond "
            f"training from scratch, and regained {four(line.regained)}"
        )
