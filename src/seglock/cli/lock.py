"""``seglock train`` and ``seglock evaluate``: locks of params.yaml."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from seglock.threads import give_way

LockName = Annotated[
    str, typer.Option("--lock", "-l", help="A lock's name under locks: in params.yaml.")
]
LockNames = Annotated[
    list[str],
    typer.Option(
        "--lock",
        "-l",
        help="A lock's name under locks: in params.yaml; given repeatedly, torch starts once.",
    ),
]


def train_command(lock: LockNames) -> None:
    """Train a lock's model on images encrypted with its key; resumes where it was stopped."""
    give_way(partial(typer.echo, err=True))
    from seglock.stages.train import train_locks

    train_locks(lock, Path.cwd())


def evaluate_command(lock: LockNames) -> None:
    """Measure mean IoU with the right key, without encryption, and with wrong keys."""
    give_way(partial(typer.echo, err=True))
    from seglock.stages.evaluate import evaluate_locks

    evaluate_locks(lock, Path.cwd())
