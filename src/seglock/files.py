"""Writing files whole or not at all, JSON, and the lock that keeps a second process out."""

from __future__ import annotations

import contextlib
import glob
import hashlib
import json
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import UnionType
from typing import IO, Any

from seglock.errors import BusyError, SeglockError, StorageError
from seglock.foreign import parse_json, read_plain

PRIVATE, PRIVATE_FOLDER = 0o600, 0o700
"""The modes of what is a function of a key or plan."""


def private_folder(folder: Path) -> None:
    """See that ``folder`` is there with mode 0700, whatever the umask is and it was before.

    Only for a folder of our own. Parents that are missing are made likewise; others stay as they
    are. Raises StorageError where that is not to be had, and for a link: what it leads to is not
    ours to close.
    """
    if folder.is_symlink():
        raise StorageError(f"{folder} must be a folder", got="a link", fix="remove the link")
    with _refusing(folder):
        if not folder.parent.exists():
            private_folder(folder.parent)
        folder.mkdir(mode=PRIVATE_FOLDER, exist_ok=True)
        if stat.S_IMODE(folder.stat().st_mode) != PRIVATE_FOLDER:
            folder.chmod(PRIVATE_FOLDER)


@contextlib.contextmanager
def replacing(path: Path, *, mode: int = 0o644) -> Iterator[IO[bytes]]:
    """Open a temporary file beside ``path``; it becomes ``path`` if the block ends without error.

    Folders that are missing are made; where the mode is closed to others, so are they.

    Raises StorageError when the disk refuses the write; ``path`` is then as it was before.
    """
    path = Path(path)
    with _refusing(path):
        prefix = _prefix(path, mode)
        handle, name = tempfile.mkstemp(prefix=prefix, suffix=".tmp", dir=path.parent)
        temporary = Path(name)
        try:
            with os.fdopen(handle, "wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            temporary.chmod(mode)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def replacing_folder(path: Path, *, mode: int = 0o755) -> Iterator[Path]:
    """Yield a temporary folder beside ``path``; it takes the place of ``path`` at the end."""
    path = Path(path)
    with _refusing(path):
        temporary = Path(tempfile.mkdtemp(prefix=_prefix(path, mode), dir=path.parent))
        try:
            temporary.chmod(mode)
            yield temporary
            if path.exists():
                # Two renames instead of a removal between: the moment without a folder is short.
                before = temporary.with_name(f"{temporary.name}.old")
                path.replace(before)
                temporary.replace(path)
                _remove(before)
            else:
                temporary.replace(path)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def _prefix(path: Path, mode: int) -> str:
    """What temporary names beside ``path`` begin with; clears those that dead processes left."""
    if not (mode & 0o077 or path.parent.exists()):
        private_folder(path.parent)
    else:
        path.parent.mkdir(parents=True, exist_ok=True)
    start = f".{path.name}."
    for leftover in path.parent.glob(f"{glob.escape(start)}[0-9]*.*"):
        owner = leftover.name.removeprefix(start).partition(".")[0]
        if owner.isdecimal() and not Path(f"/proc/{owner}").exists() and Path("/proc").is_dir():
            _remove(leftover)
    return f"{start}{os.getpid()}."


def _remove(path: Path) -> None:
    """Remove a file, a folder, or a link to one: what that leads to stays."""
    if path.is_symlink() or not path.is_dir():
        path.unlink(missing_ok=True)
    else:
        shutil.rmtree(path, ignore_errors=True)


@contextlib.contextmanager
def _refusing(path: Path) -> Iterator[None]:
    """What the disk refuses in the block is a StorageError about ``path``."""
    try:
        yield
    except SeglockError:
        raise
    except OSError as error:
        reason = error.strerror or str(error)
        raise StorageError(
            f"{path} must be writable",
            got=reason.lower(),
            fix="free some space or permit writing there, then run the same command again; "
            "nothing that was there before has changed",
        ) from error


def write_bytes(path: Path, content: bytes, *, mode: int = 0o644) -> None:
    """Write ``content`` to ``path``, whole or not at all."""
    with replacing(path, mode=mode) as file:
        file.write(content)


def write_text(path: Path, text: str, *, mode: int = 0o644) -> None:
    """Write UTF-8 text to ``path``, whole or not at all."""
    write_bytes(path, text.encode(), mode=mode)


def write_json(path: Path, value: Any, *, mode: int = 0o644) -> None:
    """Write ``value`` as indented JSON; NaN and infinity are refused."""
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    write_text(path, text + "\n", mode=mode)


def read_json(path: Path, *, error: type[SeglockError] = SeglockError, fix: str = "") -> Any:
    """Read a JSON file; ``error`` says what is wrong and ``fix`` what to run."""
    try:
        return parse_json(read_plain(path).decode())
    except FileNotFoundError as cause:
        raise error(f"{path} must exist", got="no such file", fix=fix or None) from cause
    except (OSError, ValueError) as cause:
        reason = getattr(cause, "strerror", None) or str(cause)
        raise error(f"{path} must be readable JSON", got=reason, fix=fix or None) from cause


def read_object(
    path: Path,
    fields: Mapping[str, type | UnionType],
    *,
    error: type[SeglockError] = SeglockError,
    fix: str = "",
) -> dict[str, Any]:
    """Read a JSON file that holds an object with at least these fields, each of its type."""
    value = read_json(path, error=error, fix=fix)
    if not isinstance(value, dict):
        raise error(f"{path} must hold a JSON object", got=type(value).__name__, fix=fix or None)
    faults = [f"no {name}" for name in fields if name not in value]
    faults += [
        f"{name} of type {type(value[name]).__name__}"
        for name, kind in fields.items()
        if name in value and not isinstance(value[name], kind)
    ]
    if faults:
        raise error(f"{path} must be as it was written", got=", ".join(faults), fix=fix or None)
    return value


def sha256_file(path: Path) -> str:
    """SHA-256 of a file's bytes, as 64 hexadecimal digits."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def exclusive(folder: Path, *, what: str) -> Iterator[None]:
    """Hold ``folder/.lock`` for the block; the operating system frees it however we end.

    Raises BusyError at once if another process holds it.
    """
    import filelock

    folder.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(folder / ".lock", timeout=0)
    try:
        lock.acquire()
    except filelock.Timeout as error:
        raise BusyError(
            f"only one process at a time may work on {what}",
            got=f"{folder} is in use",
            fix="wait for the other process or stop it, then run the same command again",
        ) from error
    try:
        yield
    finally:
        lock.release()
