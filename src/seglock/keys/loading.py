"""The key by its name, for the pipeline: from the environment or the store, always checked."""

from __future__ import annotations

from pathlib import Path

from seglock.errors import KeyRefusedError
from seglock.files import write_bytes
from seglock.keys.environment import environment_key
from seglock.keys.record import PublicRecord
from seglock.keys.secret import SecretKey
from seglock.keys.store import KeyStore, check_name, missing_secret, refuse_demonstration
from seglock.variables import key_variable


def load_key(
    name: str, *, record: PublicRecord | None = None, store: KeyStore | None = None
) -> SecretKey:
    """The secret key called ``name``, verified against ``record`` (default: the store's).

    ``SEGLOCK_KEY_<NAME>`` comes first, then the store. Raises KeyRefusedError if the key is
    malformed, exposed, not the recorded one, or missing: then naming the id to ask for.
    """
    store = store or KeyStore()
    key = environment_key(check_name(name))
    if key is not None:
        if record is None and name in store:
            record = store.record(name)
    elif name in store:
        key = store.load(name)
        if record == store.record(name):
            record = None  # verified already
    elif record is not None:
        raise missing_secret(name, record, store)
    else:
        raise KeyRefusedError(
            f"key {name!r} must exist",
            got=f"none in {store.folder} and no {key_variable(name)}",
            fix=f"make it with `seglock key new {name}`",
        )
    if record is not None:
        record.verify(key)
    return refuse_demonstration(key, name)


def publish_key(
    name: str, *, target: Path, create_missing: bool, store: KeyStore | None = None
) -> PublicRecord:
    """See that ``target`` (``data/keys/NAME.json``) holds the public record of key ``name``.

    A record already there stays byte for byte, and the secret on this machine must match it.
    Otherwise the store's record is copied byte for byte; a key from the environment that the store
    does not know gets a new record; and if there is no key at all, one is made where
    ``create_missing`` allows it. Raises KeyRefusedError in every other case.
    """
    store = store or KeyStore()
    if target.exists():
        record = PublicRecord.from_file(target)
        load_key(name, record=record, store=store)
        return record
    key = environment_key(check_name(name))
    if key is None and create_missing and name not in store:
        try:
            store.new(name)
        except KeyRefusedError:
            if name not in store:  # else another process has just made it: use that one
                raise
    key = load_key(name, store=store)
    content = store.record_bytes(name) if name in store else PublicRecord.of(key).to_bytes()
    write_bytes(target, content)  # a link that leads nowhere is replaced, not followed
    return PublicRecord.from_bytes(content)
