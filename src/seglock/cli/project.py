"""Which project a command works on, and paths as the user who started it means and reads them."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from seglock.errors import ConfigError, SeglockError, StorageError

PARAMS = "params.yaml"
_MARKS = (PARAMS, "dvc.yaml", ".dvc", ".git", "profiles")
_started: Path | None = None


def enter_project() -> None:
    """Go to the project's folder from any folder in it, as git and DVC do.

    A folder that is a project or a repository of its own is left to itself.
    """
    global _started
    try:
        _started = here = Path.cwd()
    except FileNotFoundError as error:
        raise ConfigError(
            "the current folder must exist", got="one that was removed", fix="cd to the project"
        ) from error
    for folder in (here, *here.parents):
        if any((folder / mark).exists() for mark in _MARKS):
            if (folder / PARAMS).is_file():
                os.chdir(folder)
            return


def given(path: Path) -> Path:
    """A path on the command line: relative to where the command was started."""
    return path if _started in (None, Path.cwd()) else _started / path


def shown(path: Path) -> str:
    """A path that can be pasted where the command was started."""
    path = path.absolute()
    started = _started or Path.cwd()
    return str(path.relative_to(started) if path.is_relative_to(started) else path)


@contextlib.contextmanager
def made_by(stages: str) -> Iterator[None]:
    """What the block finds missing of the pipeline's files is made by one command, ``dvc repro``
    of ``stages``, which its error names."""
    try:
        yield
    except SeglockError as error:
        missing = isinstance(error.__cause__, FileNotFoundError)
        if missing and not isinstance(error, ConfigError | StorageError) and Path(PARAMS).is_file():
            command = f"dvc repro {stages}".strip()
            error.fix = f"run `{command}`, which makes all that it needs"
        raise
