"""``seglock data``: get, check, prepare and encrypt a dataset."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from seglock.cli.lock import LockName
from seglock.cli.terminal import progress_bars

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Datasets in the PASCAL VOC layout: get, check, prepare, encrypt.",
)


@app.command("get")
def get_command() -> None:
    """Write the dataset of params.yaml to data/raw: generated, downloaded or copied."""
    from seglock.config import load_params
    from seglock.stages import data

    params = load_params()
    with progress_bars() as progress:
        folder = data.get(params, Path(), progress=progress)
    typer.echo(f"dataset {params.data.dataset}: {folder}")


@app.command("prepare")
def prepare_command() -> None:
    """Check, split and resize data/raw into memory-mapped arrays in data/prepared."""
    from seglock.config import load_params
    from seglock.stages import data

    params = load_params()
    with progress_bars() as progress:
        prepared = data.prepare(params, Path(), progress=progress)
    counts = ", ".join(
        f"{split.name} {len(split)}" for split in (prepared.train, prepared.val, prepared.test)
    )
    side = prepared.image_side
    typer.echo(f"{counts} images of {side}x{side}, {prepared.num_classes} classes")
    _echo_notes(prepared.notes)


@app.command("check")
def check_command(
    path: Annotated[
        Path, typer.Argument(help="A folder in the VOC layout, or the one above VOCdevkit.")
    ],
    split: Annotated[
        list[str] | None,
        typer.Option(help="A list to check; may be repeated. Otherwise train, val and test."),
    ] = None,
) -> None:
    """Report every problem of a dataset at once; exit code 2 if there is any. Notes are none."""
    from seglock.cli.project import given
    from seglock.data import require_sound
    from seglock.stages import data

    with progress_bars() as progress:
        result = data.check(given(path), splits=split, progress=progress)
    _echo_notes(result.notes)
    require_sound(result.problems, result.folder)
    counts = ", ".join(f"{name} {count}" for name, count in result.images.items())
    typer.echo(f"{result.folder}: {counts} images, {len(result.classes)} classes; no problems")


@app.command("encrypt")
def encrypt_command(lock: LockName) -> None:
    """Write the test split as the key's owner would submit it to data/encrypted/LOCK."""
    from seglock.stages.encrypt import encrypt_split

    folder = encrypt_split(lock, Path.cwd())
    typer.echo(f"lock {lock}: {folder.relative_to(Path.cwd())}")


def _echo_notes(notes: Sequence[str]) -> None:
    for note in notes:
        typer.echo(f"note: {note}")
