"""``seglock key export|import``: a key as a sealed file, out of one key store and into another."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from seglock import files
from seglock.errors import KeyRefusedError
from seglock.foreign import read_plain
from seglock.keys import KeyStore, Passphrase, PublicRecord, SealedKey, SecretKey, load_key
from seglock.keys.sealed import MOST_BYTES, RECIPIENT


class Imported(NamedTuple):
    """Under which name a key is in the store now, its id, and whether it was new there."""

    name: str
    key_id: str
    added: bool


def export_key(
    name: str, target: Path, *, to: str | None, words: Callable[[], Passphrase]
) -> PublicRecord:
    """Seal a key into the new file ``target``, mode 0600: to a public key, else by a passphrase.

    ``words`` is asked for only where it is needed. Raises KeyRefusedError where ``target`` exists,
    or the key or what seals it is not as it must be; StorageError if the disk refuses.
    """
    if os.path.lexists(target):
        raise KeyRefusedError(
            "an export is written to a new file", got=f"{target}, which exists", fix="name another"
        )
    store = KeyStore()
    key = load_key(name, store=store)
    record = store.record(name) if name in store else PublicRecord.of(key)
    if to is None:
        sealed = SealedKey.by_passphrase(name, key, record, words())
    else:
        sealed = SealedKey.to_recipient(name, key, record, to.strip())
    files.write_bytes(target, sealed.to_bytes(), mode=files.PRIVATE)
    return record


def import_key(source: Path, *, name: str | None, words: Callable[[], Passphrase]) -> Imported:
    """Open a sealed file and keep its key, under the name it had or another.

    A key that is there already under that name stays as it is. Raises KeyRefusedError for a file
    that is none, is damaged, or cannot be opened, and where the name has another key.
    """
    try:
        content = read_plain(source, most=MOST_BYTES)
    except OSError as error:
        raise KeyRefusedError(
            f"{source} must be a sealed key",
            got=(error.strerror or str(error)).lower(),
            fix="check the path",
        ) from error
    try:
        sealed = SealedKey.from_bytes(content)
        name = name or sealed.name
        store = KeyStore()
        _require_free(store, name, sealed)
        key = _opened(sealed, store, words)
    except KeyRefusedError as error:
        raise KeyRefusedError(f"{source}: {error.rule}", got=error.got, fix=error.fix) from None
    if name in store:
        return Imported(name, key.id, added=False)
    store.add(name, key, sealed.record)
    return Imported(name, key.id, added=True)


def _opened(sealed: SealedKey, store: KeyStore, words: Callable[[], Passphrase]) -> SecretKey:
    return sealed.of(store.machine()) if sealed.sealed_for == RECIPIENT else sealed.by(words())


def _require_free(store: KeyStore, name: str, sealed: SealedKey) -> None:
    """Nobody is asked for a passphrase in vain."""
    if name in store and (known := store.record(name).id) != sealed.record.id:
        raise KeyRefusedError(
            f"key {name!r} must not be another one in {store.folder}",
            got=f"key {known} there, key {sealed.record.id} in the file",
            fix="import it as another name, with --as NAME, and write that at its locks; a key is "
            "never written over",
        )
