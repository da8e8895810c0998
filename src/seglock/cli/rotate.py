"""``seglock rotate``: a leaked key is replaced."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from seglock.cli.locks import LockOption, Locks, lock_names, stages_of
from seglock.cli.project import made_by
from seglock.threads import give_way


def rotate_command(
    locks: Locks = None,
    lock: LockOption = None,
    epochs: Annotated[
        int | None, typer.Option(min=1, help="How long to train on; default: half of train.epochs.")
    ] = None,
) -> None:
    """Replace a lock's leaked key: train on under a new one until the old one is worth nothing."""
    names = lock_names(locks, lock)
    give_way(partial(typer.echo, err=True))
    from seglock.stages.rotate import rotate_lock

    for name in names:
        with made_by(stages_of("evaluate", [name])):
            done = rotate_lock(name, Path.cwd(), epochs=epochs, tell=typer.echo)
        typer.echo(
            f"{name} is under key {done.new_key} now: its owner has {done.owner:.4f}; the old key "
            f"{done.old_key} has {done.old:.4f}, the best of other wrong keys {done.wrong:.4f}"
        )
        for address in done.retired:
            typer.echo(f"retired {address}")
        if done.epochs == 0:
            typer.echo(
                f"{name} was folded again: who has old file and key reads the new plan from it"
            )
    typer.echo("back the new key up; the old network stays open to the old key")
    stages = stages_of("train", names)
    typer.echo(f"`dvc commit --force {stages}` has DVC take it, `dvc repro` judges it;")
    typer.echo(
        f"`seglock package {' '.join(names)}` registers the version that replaces the old ones"
    )
