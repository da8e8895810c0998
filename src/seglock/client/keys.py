"""The key for a described model, checked before it is used."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from seglock.errors import KeyRefusedError
from seglock.keys import PublicRecord, SecretKey, load_key

if TYPE_CHECKING:
    from seglock.serving.description import Description


def key_for(about: Description, key: SecretKey | str | None, *, check: bool) -> SecretKey | None:
    """The key, or the one of that name in this machine's environment or store.

    ``check``: it must be the one that the model's record describes, by id and Argon2id hash.
    Returns None for a model without a lock. Raises KeyRefusedError, naming the id to ask for.
    """
    if about.key is None:
        return None
    record = PublicRecord.from_bytes(json.dumps(about.key).encode()) if check else None
    if key is None:
        raise KeyRefusedError(
            f"model {about.lock} needs its key",
            got="none",
            fix=f"name it with `--key NAME`, or ask its owner for key {about.key_id}",
        )
    if isinstance(key, str):
        return load_key(key, record=record)
    if record is not None:
        record.verify(key)
    return key
