"""Opening what others may have made: archives' folders, results, records, params.yaml.

One rule for files. Opening never waits (a pipe without a writer would) and takes a plain file only,
up to a bound. Secrets and public records, ``own``, belong to this user or to root and are no links.
Everything else may be a link where it leads to a place ``within`` the folder that it is part of, or
into DVC's cache, since users set ``cache.type`` to symlink; a link to anywhere else could make a
message show what it leads to. Folders on the way to a file may be links.

One rule for JSON and YAML: so many values, nested so deep, and finite numbers. What breaks a rule
is an OSError or a ValueError that says what was found; who asked adds the file and the fix.
"""

from __future__ import annotations

import errno
import json
import math
import os
import re
import stat
from pathlib import Path
from typing import Any, TypeVar

MOST_BYTES = 64 << 20
MOST_VALUES = 4_000_000
MOST_DEPTH = 64
_PIECE = 1 << 20
_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,62}")
_RUN_ID = re.compile(r"(local-)?[0-9a-f]{32}|local-[0-9a-f]{16}")
_CACHED = re.compile(r"/files/md5/[0-9a-f]{2}/[0-9a-f]{30}$")

Value = TypeVar("Value")


def read_plain(
    path: Path, *, within: Path | None = None, own: bool = False, most: int = MOST_BYTES
) -> bytes:
    """A file's bytes, ``most`` at most; ``within`` is the file's own folder unless given.

    Raises FileNotFoundError, or another OSError whose ``strerror`` says what is wrong.
    """
    path = Path(path)
    handle = open_plain(path if own else followed(path, within or path.parent), own=own)
    content = bytearray()
    with os.fdopen(handle, "rb") as file:
        # In pieces, since Python takes memory for all that is asked for.
        while piece := file.read(min(_PIECE, most + 1 - len(content))):
            content += piece
    if len(content) > most:
        raise OSError(errno.EFBIG, f"more than {most} bytes")
    return bytes(content)


def open_plain(path: Path, *, own: bool = False) -> int:
    """A handle for reading a plain file that is no link; ``own``: of this user or of root."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise OSError(errno.ELOOP, "a link, not the file itself") from None
        raise
    about = os.fstat(handle)
    if not stat.S_ISREG(about.st_mode):
        os.close(handle)
        raise OSError(errno.EINVAL, f"no plain file but {stat.filemode(about.st_mode)}")
    if own and not is_own(about):
        os.close(handle)
        raise OSError(errno.EPERM, f"a file of another user (number {about.st_uid})")
    return handle


def is_own(about: os.stat_result) -> bool:
    """Whether something belongs to this user, or to root."""
    return about.st_uid in (os.geteuid(), 0)


def followed(path: Path, within: Path) -> Path:
    """Where a path leads, which must be ``within`` or in DVC's cache; an OSError otherwise."""
    try:
        real = path.resolve(strict=True)
        inside = real.is_relative_to(within.resolve())
    except RuntimeError as error:
        raise OSError(errno.ELOOP, "a link to itself") from error
    if inside or _CACHED.search(real.as_posix()):
        return real
    raise OSError(errno.ELOOP, "a link that leads elsewhere: put a copy of the file in its place")


def is_name(text: str) -> bool:
    """Whether something can name a key, a dataset or a study: safe as a folder of that name.

    >>> [is_name(text) for text in ("client-2.old", "../main", "Main", "")]
    [True, False, False, False]
    """
    return _NAME.fullmatch(text) is not None


def is_run_id(text: object) -> bool:
    """Whether something is a run's id, as MLflow and `seglock.tracking` make them: safe in a path.

    >>> [is_run_id(f"{before}0123456789abcdef{after}")
    ...  for before, after in (("local-", ""), ("local-", "0123456789abcdef"), ("../", ""))]
    [True, True, False]
    """
    return isinstance(text, str) and _RUN_ID.fullmatch(text) is not None


def parse_json(text: str | bytes) -> Any:
    """The value of a JSON text; a ValueError for what is no JSON, too deep, or not finite.

    >>> parse_json('{"a": [1, 2.5]}')
    {'a': [1, 2.5]}
    """
    try:
        value = json.loads(text, parse_float=_finite, parse_constant=_finite)
    except RecursionError:
        raise _too_deep() from None
    return bounded(value)


def bounded(value: Value, *, most: int = MOST_VALUES) -> Value:
    """``value``, parsed from JSON or YAML; a ValueError where it is too deep or too large.

    What YAML's aliases repeat counts as often as it is met.
    """
    level: list[Any] = [value]
    for _ in range(MOST_DEPTH):
        below: list[Any] = []
        for item in level:
            if isinstance(item, dict):
                below += item
                below += item.values()
            elif isinstance(item, list | tuple | set):
                below += item
            if len(below) > most:
                raise ValueError(f"more than {most} values")
        most -= len(below)
        level = below
        if not level:
            return value
    raise _too_deep()


def _too_deep() -> ValueError:
    return ValueError(f"values nested more than {MOST_DEPTH} deep")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"a number that is not finite ({text[:40]})")
    return number
