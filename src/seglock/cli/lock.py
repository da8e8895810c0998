"""What commands on locks have in common; ``seglock train`` and ``seglock evaluate``."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from seglock.cli.project import made_by
from seglock.cli.terminal import progress_bars, told_once
from seglock.threads import give_way

Locks = Annotated[
    list[str] | None,
    typer.Argument(metavar="LOCK...", help="Names under locks: in params.yaml."),
]
LockOption = Annotated[list[str] | None, typer.Option("--lock", "-l", help="LOCK as an option.")]


def lock_names(
    locks: Sequence[str] | None, options: Sequence[str] | None, *, needed: bool = True
) -> list[str]:
    """The locks that a command names, as arguments or options, each once; ConfigError for none
    where it is ``needed``. As it is shown, ``np-8+shf-8``, is as good as its name.

    >>> lock_names(["np-8+shf-8"], ["np-8_shf-8", "np-4"])
    ['np-8_shf-8', 'np-4']
    """
    from seglock.config import load_params
    from seglock.errors import ConfigError

    given = (name.replace("+", "_") for name in [*(locks or ()), *(options or ())])
    names = list(dict.fromkeys(given))
    if names or not needed:
        return names
    known = ", ".join(load_params().locks)
    raise ConfigError("a lock must be named", got="none", fix=f"params.yaml has {known}")


def stages_of(stage: str, locks: Sequence[str]) -> str:
    """The pipeline's stages of locks, as words of a `dvc repro`."""
    return " ".join(f"{stage}@{lock}" for lock in locks)


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
