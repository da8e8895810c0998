"""What commands on photos have in common: their arguments, and how they tell of each file."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from seglock.cli.terminal import progress_bars

if TYPE_CHECKING:
    from seglock.stages.encrypt_images import Work

Given = Annotated[
    list[Path], typer.Argument(help="Photos, or folders of them.", show_default=False)
]
Out = Annotated[Path, typer.Option("--out", "-o", help="The folder to write to.")]
ModelName = Annotated[
    str | None,
    typer.Option(
        "--model",
        "-m",
        help="A package, its weights.safetensors or model.onnx, models:/NAME@ALIAS, or the "
        "address of a server.",
    ),
]
KeyName = Annotated[str | None, typer.Option("--key", "-k", help="The key's name on this machine.")]


def given_model(model: str) -> str:
    """What ``--model`` names: a path is relative to where the command was started."""
    from seglock.cli.project import given

    return model if ":/" in model else str(given(Path(model)))


def token() -> str | None:
    """What the server asks for: ``SEGLOCK_TOKEN``, which no child of this process is given."""
    return os.environ.pop("SEGLOCK_TOKEN", None)


def follow(work: Work, what: str) -> None:
    """Do the work: a bar on a terminal, a line a file elsewhere; exit code 1 if any file failed."""
    lines = not sys.stdout.isatty()
    failed: list[str] = []
    with progress_bars() as progress:
        for number, told in enumerate(work.results(), 1):
            if told.failed:
                failed.append(told.line)
            elif lines:
                typer.echo(told.line)
            progress(what, number, len(work.photos))
    for line in failed:
        typer.echo(f"seglock: {line}", err=True)
    for line in work.finish():
        typer.echo(line)
    done = len(work.photos) - len(failed)
    typer.echo(f"{done} of {len(work.photos)} photos done", err=lines)
    if failed:
        raise typer.Exit(1)
