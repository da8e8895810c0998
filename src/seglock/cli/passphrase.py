"""A passphrase, typed unseen or read from a file: never an argument, which others can list."""

from __future__ import annotations

import os
import stat
import warnings
from pathlib import Path

from seglock.errors import KeyRefusedError, as_command
from seglock.keys import Passphrase
from seglock.keys.passphrase import MOST


def ask(source: Path | None, *, twice: bool) -> Passphrase:
    """The first line of ``source``, which may be a descriptor such as /dev/fd/3; else typed on the
    terminal, ``twice`` where a slip would cost the key.

    Raises KeyRefusedError without a terminal, for two that differ, and for a file that others can
    read.
    """
    if source is not None:
        return _read(source)
    words = _type("Passphrase: ")
    if twice and not words.same(_type("The same again: ")):
        raise KeyRefusedError(
            "both times the passphrase must be the same", got="two different ones", fix="try again"
        )
    return words


def _type(prompt: str) -> Passphrase:
    import getpass

    with warnings.catch_warnings():
        warnings.simplefilter("error", getpass.GetPassWarning)  # it would be typed in the open
        try:
            return Passphrase(getpass.getpass(prompt).encode(errors="surrogateescape"))
        except (getpass.GetPassWarning, EOFError, OSError):
            pass
    raise KeyRefusedError(
        "a passphrase must be typed on a terminal, or read from a file",
        got="neither",
        fix="add --passphrase-file FILE, such as /dev/fd/3",
    )


def _read(source: Path) -> Passphrase:
    try:
        with source.open("rb") as file:
            about = os.fstat(file.fileno())
            if not (stat.S_ISREG(about.st_mode) and about.st_mode & 0o077):
                return Passphrase(file.readline(MOST + 2).rstrip(b"\r\n"))
    except OSError as error:
        raise KeyRefusedError(
            f"{source} must be a file with the passphrase as its first line",
            got=(error.strerror or str(error)).lower(),
            fix="check the path",
        ) from error
    raise KeyRefusedError(
        f"{source} must be closed to everyone but its owner",
        got=f"mode {stat.S_IMODE(about.st_mode):04o}",
        fix=f"run {as_command('chmod', '600', source)}, and choose another passphrase if somebody "
        "may have read it",
    )
