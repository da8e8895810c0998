"""Stage ``key``: the public record of every key that a lock names, and one small file per lock.

The rest of the pipeline depends on the file per lock, so that a new key re-runs what used it only.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from seglock import files
from seglock.config import Params
from seglock.errors import KeyRefusedError, SeglockError
from seglock.keys import KeyStore, PublicRecord, publish_key

LOCKS_FOLDER = "locks"
_NOTES = ({"key"}, {"key", "id", "derivation"})


@dataclass(frozen=True)
class PublishedKeys:
    """Records by key name, and which of these keys were made just now and need a backup."""

    records: dict[str, PublicRecord]
    created: tuple[str, ...]


def publish_keys(params: Params, folder: Path, store: KeyStore | None = None) -> PublishedKeys:
    """Bring ``folder`` (data/keys) in line with the locks of ``params``.

    Writes NAME.json for every key in use, never over an existing record, and locks/LOCK.json for
    every lock; removes what it wrote for locks that are gone. Raises KeyRefusedError when a secret
    is missing, malformed, exposed or not the recorded one, or where either folder is a link: what
    that leads to is not ours to change.
    """
    store = store or KeyStore()
    for place in (folder, folder / LOCKS_FOLDER):
        if place.is_symlink():
            raise KeyRefusedError(
                f"{place} must be a folder of the project", got="a link", fix="remove the link"
            )
    names = sorted({lock.key for lock in params.locks.values() if lock.steps})
    known = set(store.names())
    records = {
        name: publish_key(
            name,
            target=folder / f"{name}.json",
            create_missing=params.keys.create_missing,
            store=store,
        )
        for name in names
    }
    created = tuple(name for name in names if name not in known and name in store.names())
    _write_locks(params, folder / LOCKS_FOLDER, records)
    return PublishedKeys(records, created)


def _write_locks(params: Params, folder: Path, records: dict[str, PublicRecord]) -> None:
    for lock, definition in params.locks.items():
        note: dict[str, object] = {"key": None}
        if definition.steps:
            record = records[definition.key]
            note = {"key": definition.key, "id": record.id, "derivation": record.derivation}
        files.write_json(folder / f"{lock}.json", note)
    for path in folder.glob("*.json"):
        if path.stem not in params.locks and _is_ours(path):
            path.unlink()


def _is_ours(path: Path) -> bool:
    """Whether a file is one that `_write_locks` wrote, and no link."""
    try:
        note = files.read_json(path)
    except SeglockError:
        return False
    return not path.is_symlink() and isinstance(note, dict) and {*note} in _NOTES
