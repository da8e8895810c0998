"""``seglock data``: get, check, prepare and encrypt a dataset."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from seglock.cli.locks import LockOption, Locks, lock_names, stages_of
from seglock.cli.project import made_by
from seglock.cli.terminal import AsJson, print_json, progress_bars

if TYPE_CHECKING:
    from seglock.config import Params
    from seglock.data import Findings

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
    with made_by("prepare"), progress_bars() as progress:
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
    as_json: AsJson = False,
) -> None:
    """Report every problem of a dataset at once; exit code 2 if there is any. Notes are none."""
    from seglock.cli.project import given
    from seglock.data import require_sound
    from seglock.stages import data

    with progress_bars() as progress:
        result = data.check(given(path), splits=split, progress=progress, params=_project())
    if as_json:
        print_json(_as_plain(result))
        raise typer.Exit(2 if result.problems else 0)
    _echo_notes(result.notes)
    require_sound(result.problems, result.folder)
    counts = ", ".join(f"{name} {count}" for name, count in result.images.items())
    typer.echo(f"{result.folder}: {counts} images, {len(result.classes)} classes; no problems")


@app.command("encrypt")
def encrypt_command(locks: Locks = None, lock: LockOption = None) -> None:
    """Write the test split as the key's owner would submit it to data/encrypted/LOCK."""
    from seglock.stages.encrypt import encrypt_split

    for name in lock_names(locks, lock):
        with made_by(stages_of("encrypt", [name])):
            folder = encrypt_split(name, Path.cwd())
        typer.echo(f"lock {name}: {folder.relative_to(Path.cwd())}")


def _project() -> Params | None:
    """The params of the project that the command works on, if it is in one that has sound ones."""
    from seglock.config import load_params
    from seglock.errors import ConfigError

    with contextlib.suppress(ConfigError):
        return load_params()
    return None


def _as_plain(found: Findings) -> dict[str, object]:
    problems = [vars(problem) for problem in found.problems]
    return {
        "folder": found.folder,
        "classes": found.classes,
        "images": found.images,
        "problems": problems,
        "notes": found.notes,
    }


def _echo_notes(notes: Sequence[str]) -> None:
    for note in notes:
        typer.echo(f"note: {note}")
