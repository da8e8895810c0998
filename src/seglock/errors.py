"""Every error a user can cause, one tree below `SeglockError`.

A message has three parts: the rule that must hold, the value that broke it, and the fix.
"""

from __future__ import annotations

import difflib
import shlex
from collections.abc import Iterable
from functools import partial
from typing import Any, ClassVar

_LONGEST = 4000


class SeglockError(Exception):
    """Base of all errors shown to users as one message without a traceback.

    Examples:
        >>> print(SeglockError("block_size must divide the image side", got="block_size=3, side=8",
        ...                    fix="use one of 1, 2, 4, 8"))
        block_size must divide the image side, got block_size=3, side=8; use one of 1, 2, 4, 8
    """

    exit_code: ClassVar[int] = 2

    def __init__(self, rule: str, *, got: object = None, fix: str | None = None) -> None:
        self.rule = rule
        self.got = got
        self.fix = fix
        super().__init__(rule)

    def __str__(self) -> str:
        text = self.rule
        if self.got is not None:
            text += f", got {self.got}"
        if self.fix:
            text += f"; {self.fix}"
        return "\n".join(printable(line) for line in text.split("\n"))

    def __reduce__(self) -> tuple[Any, ...]:
        return partial(type(self), self.rule, got=self.got, fix=self.fix), ()


def nearest_name(name: str, known: Iterable[str], *, cutoff: float = 0.6) -> str:
    """``did you mean 'x'?``, or the list of known names where none is near.

    >>> nearest_name("epoch", ["epochs", "lr"])
    "did you mean 'epochs'?"
    """
    known = list(known)
    close = difflib.get_close_matches(str(name), known, n=1, cutoff=cutoff)
    return f"did you mean {close[0]!r}?" if close else f"use one of {', '.join(known)}"


def printable(line: str) -> str:
    """A line as it may be shown: what a terminal would obey is escaped, and it has an end.

    >>> printable("cat\x1b[2J")
    'cat\\\\x1b[2J'
    """
    if len(line) > _LONGEST:
        line = f"{line[: _LONGEST // 2]} ... {line[-_LONGEST // 2 :]}"
    return "".join(
        letter if letter.isprintable() or letter == "\t" else ascii(letter)[1:-1] for letter in line
    )


def as_command(*words: object) -> str:
    """A command to type, as messages show it: a shell must read each word as one, whatever it has.

    >>> print(as_command("rm", "-r", "my project"))
    `rm -r 'my project'`
    """
    return f"`{shlex.join(map(str, words))}`"


class ConfigError(SeglockError, ValueError):
    """params.yaml or a name in it breaks a rule."""


class TransformError(SeglockError, ValueError):
    """An image, block size or composition that the transform formula does not allow."""


class DataError(SeglockError, ValueError):
    """A dataset, image, mask or array file that cannot be used."""


class ModelError(SeglockError, ValueError):
    """A network that does not exist, or weights that do not fit it."""


class TrainingError(SeglockError, RuntimeError):
    """Training cannot go on."""


class EvaluationError(SeglockError, ValueError):
    """A lock cannot be judged with what was given."""


class AttackError(SeglockError, ValueError):
    """An attack does not apply to a lock, or lacks its material or its budget."""


class TrackingError(SeglockError, RuntimeError):
    """The tracking server cannot be reached, or does not know the run."""


class ServerError(SeglockError, RuntimeError):
    """A server of a locked model that cannot be reached, or does not answer as one."""


class ReportError(SeglockError, ValueError):
    """Result files that are missing or damaged."""


class BusyError(SeglockError, RuntimeError):
    """Another process works on the same output."""


class StorageError(SeglockError, OSError):
    """The disk refused a write (full, read-only, no permission)."""


class ClusterError(SeglockError, RuntimeError):
    """A Ray cluster that does not answer, or was lost."""


class KeyRefusedError(SeglockError, ValueError):
    """A secret key is missing, malformed, exposed, or not the one that is asked for."""

    exit_code: ClassVar[int] = 3


def is_homeless(error: BaseException) -> bool:
    """Whether a library asked for the home or the name of a user without an entry, as in a
    container."""
    return any(words in str(error) for words in ("home directory", "getpwuid", "No username set"))


def in_short(text: str, limit: int = 1000) -> str:
    """Someone else's message on one line. What is wrong stands first and the remedy last: a long
    one loses its middle.

    >>> in_short("no such\\n  file")
    'no such file'
    >>> in_short("0123456789", limit=7)
    '01 … 89'
    """
    line = " ".join(text.split())
    end = (limit - 3) // 2
    return line if len(line) <= limit else f"{line[:end]} … {line[-end:]}"
