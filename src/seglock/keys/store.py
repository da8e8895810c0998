"""KeyStore: the folder outside the repository where secrets live, each with its public record.

``FOLDER/NAME/secret`` holds the 32 bytes, ``FOLDER/NAME/record.json`` the record. Both are written
to a hidden folder that is then renamed to NAME: a key exists whole or not at all, whatever
interrupts, and of two processes that make one name, one is refused.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from seglock.errors import KeyRefusedError, StorageError
from seglock.files import private_folder
from seglock.foreign import is_name, read_plain
from seglock.keys.private import (
    RECORD_FILE,
    SECRET_FILE,
    check_key_folder,
    check_store,
    clear_drafts,
    hold,
)
from seglock.keys.record import PublicRecord
from seglock.keys.secret import SecretKey, demonstration_key
from seglock.keys.secret_access import reveal
from seglock.variables import FOLDER_VARIABLE, expand, key_variable

MACHINE = ".machine"
"""The folder of the machine's own key: no name of a key, and none of a draft's."""


def check_name(name: str) -> str:
    """``name`` if it can name a key: lower-case letters, digits, ``-``, ``_``, ``.``."""
    if not is_name(name):
        raise KeyRefusedError(
            "a key's name must be 1 to 63 lower-case letters, digits, '-', '_' or '.', "
            "and start with a letter or digit",
            got=repr(name) if len(name) < 30 else f"{len(name)} characters",
            fix="write for example main",
        )
    if key_variable(name) == FOLDER_VARIABLE:
        raise KeyRefusedError(
            f"a key's name must not be {name!r}",
            got=f"a clash with {FOLDER_VARIABLE}, which names the key store's folder",
            fix="choose another name",
        )
    return name


def default_folder() -> Path:
    """``$SEGLOCK_KEY_DIR``, relative to the project, or ``seglock/keys`` in the user's data folder.

    Raises KeyRefusedError for a user without a home, or one that is unknown.
    """
    if chosen := os.environ.get(FOLDER_VARIABLE):
        root = Path(os.environ.get("DVC_ROOT") or Path.cwd())  # DVC's experiments work elsewhere
        return root / expand(chosen, FOLDER_VARIABLE, error=KeyRefusedError)
    import platformdirs

    try:
        return platformdirs.user_data_path("seglock") / "keys"
    except RuntimeError as error:  # no HOME, and a user id that the machine has no entry for
        raise KeyRefusedError(
            "the key store must be in a user's home folder, or where it is said",
            got="a user without one",
            fix=f"set {FOLDER_VARIABLE} to a folder outside the project that lasts",
        ) from error


class KeyStore:
    """Secret keys by name in one folder of mode 0700.

    Every method raises KeyRefusedError for a name that cannot be one.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = Path(folder) if folder is not None else default_folder()

    def new(self, name: str) -> PublicRecord:
        """Make a key: secret and record both, or neither.

        Raises KeyRefusedError if the name is taken or the store is not private (`check_store`),
        StorageError if the disk refuses.
        """
        key = SecretKey.generate()
        return self.add(name, key, PublicRecord.of(key))

    def add(self, name: str, key: SecretKey, record: PublicRecord) -> PublicRecord:
        """Keep a key that came from elsewhere with its record, both or neither; as `new`."""
        check_name(name)
        self.check()
        if name in self:
            raise self._taken(name)
        self._add(name, key, record)
        return record

    def machine(self) -> SecretKey:
        """This machine's own key, made once: what is sealed to its public half opens here only.

        It lies among the others but is no lock's: no name leads to it.
        """
        self.check()
        path = self.folder / MACHINE
        if not self.has_machine:
            key = SecretKey.generate()
            self._add(MACHINE, key, PublicRecord.of(key))
        check_key_folder(path)
        return SecretKey.from_file(path / SECRET_FILE)

    @property
    def has_machine(self) -> bool:
        """Whether this machine's own key has been made."""
        return os.path.lexists(self.folder / MACHINE)

    def _add(self, name: str, key: SecretKey, record: PublicRecord) -> None:
        try:
            if not self.folder.exists():
                private_folder(self.folder)
            draft = Path(tempfile.mkdtemp(prefix=f".{name}.", dir=self.folder))
            held = hold(draft)
            try:
                _write_new(draft / SECRET_FILE, lambda: reveal(key), key.SIZE)
                _write_new(draft / RECORD_FILE, record.to_bytes, len(record.to_bytes()))
                _sync_folder(draft)
                self._claim(draft, name)
                with contextlib.suppress(OSError):  # made by now, and whole in any case
                    _sync_folder(self.folder)
            finally:
                shutil.rmtree(draft, ignore_errors=True)
                if held is not None:
                    os.close(held)
        except OSError as error:
            if isinstance(error, StorageError):
                raise
            raise StorageError(
                f"the key store {self.folder} must be writable",
                got=(error.strerror or str(error)).lower(),
                fix=f"mend that or set {FOLDER_VARIABLE}; no key was made",
            ) from None

    def _claim(self, draft: Path, name: str) -> None:
        try:
            draft.rename(self.folder / name)  # refused by the system if NAME holds anything
        except OSError:
            if name == MACHINE and self.has_machine:
                return  # another process has just made it
            if name != MACHINE and name in self:
                raise self._taken(name) from None
            raise

    def names(self) -> list[str]:
        """Names of all keys with a record, in order; none if there is no store yet."""
        if not self.folder.is_dir():
            return []
        return sorted(
            e.name for e in self.folder.iterdir() if is_name(e.name) and (e / RECORD_FILE).is_file()
        )

    def path(self, name: str) -> Path:
        """The folder of one key."""
        return self.folder / check_name(name)

    def secret_path(self, name: str) -> Path:
        """Where the secret of one key is, or would be."""
        return self.path(name) / SECRET_FILE

    def __contains__(self, name: str) -> bool:
        """Whether anything is there under that name, whole or not."""
        try:
            return os.path.lexists(self.path(name))
        except OSError as error:
            raise KeyRefusedError(
                f"the key store {self.folder} must be readable",
                got=(error.strerror or str(error)).lower(),
                fix=f"mend that or set {FOLDER_VARIABLE}",
            ) from error

    def record(self, name: str) -> PublicRecord:
        """The public record of one key."""
        path = self.path(name) / RECORD_FILE
        if name not in self:
            raise KeyRefusedError(
                f"key {name!r} must exist in {self.folder}",
                got="no such key",
                fix=f"make it with `seglock key new {name}`, or see `seglock key list`",
            )
        check_key_folder(self.path(name))
        if not path.exists():
            raise KeyRefusedError(
                f"key {name!r} must have its public record beside it",
                got=f"no {path}",
                fix=f"put a copy of the project's data/keys/{name}.json there",
            )
        return PublicRecord.from_file(path, own=True)

    def record_bytes(self, name: str) -> bytes:
        """The record's file, byte for byte."""
        self.record(name)
        return read_plain(self.path(name) / RECORD_FILE, own=True)

    def load(self, name: str) -> SecretKey:
        """The secret, verified against its record.

        Raises KeyRefusedError if it is missing (naming the id to ask for), exposed, malformed, or
        not the recorded one.
        """
        check_name(name)
        self.check()
        record = self.record(name)
        path = self.secret_path(name)
        if not path.exists():
            raise missing_secret(name, record, self)
        key = SecretKey.from_file(path)
        record.verify(key)
        return refuse_demonstration(key, name)

    def check(self) -> int:
        """Clear what killed processes left; returns how many unfinished keys that were.

        Raises KeyRefusedError where the store is not private enough to trust.
        """
        check_store(self.folder)
        return clear_drafts(self.folder)

    def _taken(self, name: str) -> KeyRefusedError:
        known = name in self.names()
        return KeyRefusedError(
            f"key {name!r} must not exist yet in {self.folder}",
            got=f"key {self.record(name).id}" if known else "something else of that name",
            fix="choose another name; a key is never written over",
        )


def missing_secret(name: str, record: PublicRecord, store: KeyStore) -> KeyRefusedError:
    """The error for a record whose secret is not on this machine."""
    return KeyRefusedError(
        f"key {name!r} must be on this machine, since a record names it",
        got=f"no secret for key {record.id}",
        fix=f"ask its owner for key {record.id}, then set {key_variable(name)} "
        f"or put the owner's folder at {store.path(name)}",
    )


def refuse_demonstration(key: SecretKey, name: str) -> SecretKey:
    """``key``, unless it is the public demonstration key, which protects nothing."""
    if key == demonstration_key():
        raise KeyRefusedError(
            f"key {name!r} must be secret",
            got="the public demonstration key",
            fix="make one with `seglock key new NAME`",
        )
    return key


def _write_new(path: Path, content: Callable[[], bytes], size: int) -> None:
    """Create ``path`` with mode 0600 and write it through to the disk."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        if os.write(handle, content()) != size:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.fsync(handle)
    finally:
        os.close(handle)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
