"""``seglock rotate``: a leaked key is replaced."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from seglock.cli.lock import LockName
from seglock.threads import give_way


def rotate_command(
    lock: LockName,
    epochs: Annotated[
        int | None, typer.Option(min=1, help="How long to train on; default: half of train.epochs.")
    ] = None,
) -> None:
    """Replace a lock's leaked key: train on under a new one until the old one is worth nothing."""
    give_way(partial(typer.echo, err=True))
    from seglock.stages.rotate import rotate_lock

    done = rotate_lock(lock, Path.cwd(), epochs=epochs, tell=typer.echo)
    typer.echo(
        f"{lock} is under key {done.new_key} now: its owner has {done.owner:.4f}; the old key "
        f"{done.old_key} has {done.old:.4f}, the best of other wrong keys {done.wrong:.4f}"
    )
    for address in done.retired:
        typer.echo(f"retired {address}")
    typer.echo("back the new key up; the old network stays open to the old key")
    typer.echo(f"`dvc commit --force train@{lock}` has DVC take it, `dvc repro` judges it;")
    typer.echo(f"`seglock package --lock {lock}` registers the version that replaces the old ones")
