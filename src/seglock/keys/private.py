"""What the folders of a key store must be, and the drafts in it that a killed process left."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import stat
from pathlib import Path

from seglock.errors import KeyRefusedError, as_command
from seglock.foreign import is_own
from seglock.variables import FOLDER_VARIABLE

_DRAFT = re.compile(r"\..+\.[a-z0-9_]{8}")
"""What `tempfile.mkdtemp` makes of the prefix ``.NAME.``"""
SECRET_FILE = "secret"  # noqa: S105 - a file's name
RECORD_FILE = "record.json"


def check_store(folder: Path) -> None:
    """Raise KeyRefusedError unless nobody else can put another store, or another key, in place.

    The folder is one of this user's (or of root), no link, outside every git work tree, and
    writable for nobody else; so is, but for its owner, each folder above it that is not sticky.
    """
    real = folder.absolute().resolve()  # it need not exist yet
    above = (place for place in (real, *real.parents) if os.path.lexists(place / ".git"))
    if (tree := next(above, None)) is not None:
        raise KeyRefusedError(
            "the key store must lie outside every git work tree, where no commit can take a key "
            "along",
            got=f"{folder}, inside {tree}",
            fix=f"set {FOLDER_VARIABLE} to a folder elsewhere, or leave it unset; move keys you "
            "have",
        )
    if os.path.lexists(folder):
        _check(folder, "the key store", 0o022, f"set {FOLDER_VARIABLE} to where it leads")
    parents = {*folder.absolute().parents, *folder.resolve().parents}
    for place in sorted(place for place in parents if os.path.isdir(place)):  # noqa: PTH112 - False where it cannot be seen
        about = place.stat()
        # A group of the owner's number is the owner's own, as most systems make it.
        others = 0o002 if about.st_gid == about.st_uid else 0o022
        if about.st_mode & others and not about.st_mode & stat.S_ISVTX:
            raise KeyRefusedError(
                f"no folder above the key store {folder} must be writable by others",
                got=f"{place} of mode {stat.S_IMODE(about.st_mode):04o}",
                fix=f"run {as_command('chmod', 'go-w', place)}, or set {FOLDER_VARIABLE} to a "
                "folder elsewhere",
            )


def check_key_folder(folder: Path) -> None:
    """Raise KeyRefusedError unless a key's folder is this user's, closed, and without links."""
    _check(folder, "the key's folder", 0o077, "put the folder itself there")
    for file in folder.iterdir():
        if file.is_symlink():
            raise KeyRefusedError(f"{file} must be a file", got="a link", fix="put a copy there")


def _check(folder: Path, what: str, closed: int, instead: str) -> None:
    about = folder.lstat()
    mode = stat.S_IMODE(about.st_mode)
    if not stat.S_ISDIR(about.st_mode):
        kind = "a link" if stat.S_ISLNK(about.st_mode) else stat.filemode(about.st_mode)
        raise KeyRefusedError(f"{what} {folder} must be a folder", got=kind, fix=instead)
    if not is_own(about):
        raise KeyRefusedError(
            f"{what} {folder} must be yours",
            got=f"one of user {about.st_uid}",
            fix="if nobody can have read or changed it run "
            + as_command("chown", "-R", os.geteuid(), folder),
        )
    if mode & closed:
        rule = "writable by" if closed == 0o022 else "open to"
        raise KeyRefusedError(
            f"{what} {folder} must not be {rule} others",
            got=f"mode {mode:04o}",
            fix=f"run {as_command('chmod', '700', folder)}",
        )


def hold(folder: Path) -> int | None:
    """A handle that shows, until it is closed, that a living process works in ``folder``.

    None where another one does, or where the file system has no such locks.
    """
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(handle)
        else:
            return handle
    return None


def clear_drafts(store: Path) -> int:
    """Remove keys that nobody is about to finish; returns how many there were.

    An empty draft stays: whoever has just made it may not hold it yet. So does a folder with
    anything but a key's files: a store may be in a folder that has others of such names.
    """
    found: list[Path] = []
    with contextlib.suppress(OSError):
        found += (draft for draft in store.iterdir() if _DRAFT.fullmatch(draft.name))
    cleared = 0
    for draft in found:
        if (held := hold(draft)) is not None:
            with contextlib.suppress(OSError):
                names = {file.name for file in draft.iterdir()}
                if names and names <= {SECRET_FILE, RECORD_FILE}:
                    shutil.rmtree(draft)
                    cleared += 1
            os.close(held)
    return cleared
