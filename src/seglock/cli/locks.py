"""What commands on locks of params.yaml have in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

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
