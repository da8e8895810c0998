"""``seglock package``: a trained lock as what is served and handed over."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from seglock.cli.locks import LockOption, lock_names, stages_of
from seglock.cli.project import made_by


def package_command(
    locks: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="LOCK...", help="Names of locks; default: those of package.register."
        ),
    ] = None,
    lock: LockOption = None,
    onnx: Annotated[
        bool, typer.Option("--onnx", help="Also as ONNX, which clients and servers open fast.")
    ] = False,
    register: Annotated[
        bool, typer.Option(help="Log it on the lock's run and register it in MLflow.")
    ] = True,
) -> None:
    """Write data/packages/LOCK: weights, description and card, served by MLflow as it is."""
    from seglock.stages.package import CHAMPION, package_locks

    names = lock_names(locks, lock, needed=False)
    with made_by(stages_of("evaluate", names) or "package"):
        made = package_locks(names or None, Path.cwd(), onnx=onnx, register=register)
    if not made:
        typer.echo(
            "package.register in params.yaml names no lock; `seglock package LOCK` packages one"
        )
    for packaged in made:
        typer.echo(f"{packaged.folder}: {packaged.standing}")
        if packaged.version:
            alias = f", the {CHAMPION}" if packaged.standing.keeps else f", not the {CHAMPION}"
            typer.echo(f"registered as {packaged.version.address}{alias}")
