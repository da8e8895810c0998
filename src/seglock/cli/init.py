"""``seglock init``: a project of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def init_command(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A new folder, or an empty one.")],
    data: Annotated[
        Path | None,
        typer.Option(help="Your images in the VOC layout; checked first. Else generated images."),
    ] = None,
) -> None:
    """Make a project: the pipeline, params.yaml, profiles, git and DVC; `dvc repro` there runs."""
    from seglock.cli.project import given, shown
    from seglock.cli.terminal import progress_bars
    from seglock.errors import as_command
    from seglock.stages import data as stage
    from seglock.stages.init import check_place, init_project

    target = given(folder)
    check_place(target.absolute())  # before the images are read
    found = None
    if data is not None:
        with progress_bars() as progress:
            found = stage.check(given(data), progress=progress)
    own = init_project(target, found, gpu=_has_gpu)
    for note in (*(found.notes if found else ()), *(own.notes if own else ())):
        typer.echo(f"note: {note}")
    typer.echo(f"{folder}: a project, profile {own.name if own else 'synthetic'}")
    typer.echo(f"  {as_command('cd', shown(target))[1:-1]}")
    typer.echo("  seglock doctor")
    typer.echo("  dvc repro")


def _has_gpu() -> bool:
    import torch

    return torch.cuda.is_available()
