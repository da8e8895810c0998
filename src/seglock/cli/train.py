"""``seglock train`` and ``seglock evaluate``."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from seglock.cli.locks import LockOption, Locks, lock_names, stages_of
from seglock.cli.project import made_by
from seglock.cli.terminal import progress_bars, told_once
from seglock.threads import give_way


def train_command(
    locks: Locks = None,
    lock: LockOption = None,
    seed: Annotated[
        int | None,
        typer.Option(help="Train and judge once more under this seed, into data/seeds alone."),
    ] = None,
) -> None:
    """Train locks' models on images encrypted with their keys; resumes where it was stopped.

    Several locks in one command load torch once.
    """
    names = lock_names(locks, lock)
    give_way(partial(typer.echo, err=True))
    if seed is not None:
        from seglock.stages.seeds import train_seed

        with made_by(stages_of("encrypt", names)):
            for name in names:
                typer.echo(f"{name}, seed {seed}: {train_seed(name, seed, Path.cwd())}")
        return
    from seglock.stages.train import train_locks

    with made_by(stages_of("train", names)):
        train_locks(names, Path.cwd(), tell=told_once)


def evaluate_command(locks: Locks = None, lock: LockOption = None) -> None:
    """Measure mean IoU with the right key, without encryption, and with wrong keys.

    Several locks in one command load torch once.
    """
    names = lock_names(locks, lock)
    give_way(partial(typer.echo, err=True))
    from seglock.stages.evaluate import evaluate_locks

    with made_by(stages_of("evaluate", names)), progress_bars() as progress:
        evaluate_locks(names, Path.cwd(), progress=progress, tell=typer.echo)
