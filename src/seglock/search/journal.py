"""The journal file of a study on one machine: whole lines only, whoever was killed or ran full."""

from __future__ import annotations

import contextlib
import json
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seglock.errors import StorageError

if TYPE_CHECKING:
    from optuna.storages import JournalStorage

JOURNAL = "journal.log"
STALE_AFTER = 1.0  # seconds; a living writer holds Optuna's lock for a few milliseconds


def open_journal(file: Path) -> JournalStorage:
    """Open a journal for writing, as the only coordinator of its study.

    What a killed writer left is put right first: a torn last line, which was never acknowledged,
    is cut, and its lock file is removed. Raises StorageError for damage before the last line, and
    for a link: what that leads to is not ours to cut or to write to.
    """
    _check_plain(file)
    file.parent.mkdir(parents=True, exist_ok=True)
    _remove_stale_lock(file.with_name(f"{file.name}.lock"))
    cut_torn_line(file)
    return _storage(file)


def read_journal(file: Path) -> JournalStorage | None:
    """Open a journal to read, changing nothing; None where there is none."""
    _check_plain(file)
    if not file.exists():
        return None
    check_lines(file)
    return _storage(file)


def _check_plain(file: Path) -> None:
    if file.is_symlink() or (file.exists() and not file.is_file()):
        raise StorageError(f"{file} must be a file", got="a link or a pipe", fix="remove it")


def cut_torn_line(file: Path) -> None:
    """Remove what follows the last whole line; the rest must be whole lines of JSON."""
    if not file.exists():
        return
    whole = check_lines(file)
    if whole < file.stat().st_size:
        with file.open("rb+") as journal:
            journal.truncate(whole)
            os.fsync(journal.fileno())


def check_lines(file: Path) -> int:
    """How many bytes of the file are whole lines; only its end may be damaged.

    Raises StorageError naming the damaged line.
    """
    whole = 0
    with file.open("rb") as journal:
        size = os.fstat(journal.fileno()).st_size
        for number, line in enumerate(journal, start=1):
            if _is_entry(line):
                whole += len(line)
            elif whole + len(line) < size:
                raise StorageError(
                    f"{file} must be as it was written",
                    got=f"line {number}, which is damaged",
                    fix="restore the file from a copy, or delete that line: what it told is lost",
                )
    return whole


def _is_entry(line: bytes) -> bool:
    if not line.endswith(b"\n"):
        return False
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


def _remove_stale_lock(lock: Path) -> None:
    """Remove a lock that stays: its holder was killed, and Optuna would wait 30 s for it."""
    until = time.monotonic() + STALE_AFTER
    first = _identity(lock)
    while first is not None:
        if _identity(lock) != first:
            return
        if time.monotonic() > until:
            lock.unlink(missing_ok=True)
            return
        time.sleep(0.05)


def _identity(path: Path) -> tuple[int, int] | None:
    with contextlib.suppress(OSError):
        about = path.lstat()
        return about.st_ino, about.st_mtime_ns
    return None


def _storage(file: Path) -> JournalStorage:
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend, JournalFileSymlinkLock

    class WholeLines(JournalFileBackend):
        """Optuna's own file and lock, except that a write the disk refuses leaves nothing."""

        def __init__(self) -> None:
            self._held = JournalFileSymlinkLock(str(file))
            super().__init__(str(file), lock_obj=self._held)

        def append_logs(self, logs: list[dict[str, Any]]) -> None:
            lines = "".join(f"{json.dumps(log, separators=(',', ':'))}\n" for log in logs)
            self._held.acquire()
            try:
                _append(file, lines.encode())
            finally:
                self._held.release()

    return JournalStorage(WholeLines())


def _append(file: Path, lines: bytes) -> None:
    with file.open("ab", buffering=0) as journal:
        before = journal.tell()
        try:
            rest = memoryview(lines)
            while rest:  # a disk that is about full takes a part first, and refuses the rest
                rest = rest[journal.write(rest) :]
            os.fsync(journal.fileno())
        except BaseException:
            journal.truncate(before)
            raise
