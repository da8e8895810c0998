"""``seglock train`` and ``seglock evaluate``: one lock of params.yaml each."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from seglock.threads import give_way

LockName = Annotated[
    str, typer.Option("--lock", "-l", help="A lock's name under locks: in params.yaml.")
]


def train_command(lock: LockName) -> None:
    """Train one lock's model on images encrypted with its key; resumes where it was stopped."""
    give_way(partial(typer.echo, err=True))
    from seglock.stages.train import train_lock

    train_lock(lock, Path.cwd())


def evaluate_command(lock: LockName) -> None:
    """Measure mean IoU with the right key, without encryption, and with wrong keys."""
    give_way(partial(typer.echo, err=True))
    from seglock.stages.evaluate import evaluate

    evaluate(lock, Path.cwd())
