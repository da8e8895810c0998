"""``seglock package``: a trained lock as what is served and handed over."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def package_command(
    lock: Annotated[
        list[str] | None,
        typer.Option("--lock", "-l", help="A lock's name; default: those of package.register."),
    ] = None,
    onnx: Annotated[
        bool, typer.Option("--onnx", help="Also as ONNX, which clients and servers open fast.")
    ] = False,
    register: Annotated[
        bool, typer.Option(help="Log it on the lock's run and register it in MLflow.")
    ] = True,
) -> None:
    """Write data/packages/LOCK: weights, description and card, served by MLflow as it is."""
    from seglock.stages.package import CHAMPION, package_locks

    for packaged in package_locks(lock, Path.cwd(), onnx=onnx, register=register):
        typer.echo(f"{packaged.folder}: {packaged.standing}")
        if packaged.version:
            alias = f", the {CHAMPION}" if packaged.standing.keeps else f", not the {CHAMPION}"
            typer.echo(f"registered as {packaged.version.address}{alias}")
