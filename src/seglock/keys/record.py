"""PublicRecord: what anyone may know of a key, and the check that a secret is the one meant."""

from __future__ import annotations

import dataclasses
import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

from seglock.errors import KeyRefusedError, StorageError
from seglock.foreign import parse_json, read_plain
from seglock.keys.secret import DERIVATION_VERSION, SecretKey
from seglock.keys.secret_access import reveal

_ID = re.compile(r"[0-9a-f]{16}")
_PHC = re.compile(
    r"\$argon2id\$v=19\$m=(?P<kib>[0-9]{1,9}),t=(?P<passes>[0-9]{1,9}),p=(?P<lanes>[0-9]{1,9})"
    r"\$[A-Za-z0-9+/]{11,128}\$[A-Za-z0-9+/]{22,128}"
)
# RFC 9106's second recommendation. A record asking for far more is refused, not obeyed.
_MEMORY_KIB, _PASSES, _LANES = 64 * 1024, 3, 4
_MOST_BYTES = 1 << 16
_MOST = {"kib": 1 << 20, "passes": 64, "lanes": 64}


@dataclass(frozen=True)
class PublicRecord:
    """The public half of a key, as in ``data/keys/NAME.json``.

    id: 16 hexadecimal digits. hash: Argon2id of the 32 secret bytes in PHC format. created: ISO
    8601 UTC. derivation: version of the rules that turn the key into plans.
    """

    id: str
    hash: str
    created: str
    derivation: int

    def __post_init__(self) -> None:
        if fault := _fault(dataclasses.asdict(self)):
            raise _damaged(fault)

    @classmethod
    def of(cls, key: SecretKey, *, now: datetime | None = None) -> Self:
        """A new record of ``key``; its hash has a fresh salt, so no two records are alike."""
        hashed = _hash(key)
        if hashed is None:
            raise _no_memory()
        created = (now or datetime.now(UTC)).astimezone(UTC).isoformat(timespec="seconds")
        return cls(id=key.id, hash=hashed, created=created, derivation=DERIVATION_VERSION)

    def to_bytes(self) -> bytes:
        """The record as a JSON file."""
        return (json.dumps(dataclasses.asdict(self), indent=2) + "\n").encode()

    @classmethod
    def from_bytes(cls, content: bytes) -> Self:
        """Read what ``to_bytes`` wrote; anything else is a KeyRefusedError without its values."""
        try:
            values = parse_json(content)
        except ValueError:
            values = None
        if not isinstance(values, dict):
            raise _damaged("no JSON object")
        names = {field.name for field in dataclasses.fields(cls)}
        if values.keys() != names:
            odd = ", ".join(sorted(names - values.keys())) or "fields of other names"
            raise _damaged(f"{'missing' if names - values.keys() else 'unexpected'} {odd}")
        return cls(**values)

    @classmethod
    def from_file(cls, path: Path, *, own: bool = False) -> Self:
        """Read a record file, ``own`` as in `read_plain`; a KeyRefusedError names the file."""
        try:
            content = read_plain(path, own=own, most=_MOST_BYTES)
        except OSError as error:
            raise KeyRefusedError(
                f"{path} must be a readable key record",
                got=(error.strerror or str(error)).lower(),
                fix="run `seglock key publish`",
            ) from error
        try:
            return cls.from_bytes(content)
        except KeyRefusedError as error:
            raise KeyRefusedError(f"{path}: {error.rule}", got=error.got, fix=error.fix) from error

    def verify(self, key: SecretKey) -> None:
        """Check that ``key`` is the one recorded: its derivation, its id and its Argon2id hash.

        Takes about 0.1 s and 64 MiB. Raises KeyRefusedError if it is not.
        """
        if self.derivation != DERIVATION_VERSION:
            raise KeyRefusedError(
                f"the record of key {self.id} must be of derivation version {DERIVATION_VERSION}",
                got=f"version {self.derivation}, by which a key gives other plans",
                fix="make another key with `seglock key new NAME`, write `key: NAME` at the locks "
                "of this one and train them again, or stay with the seglock that wrote the record",
            )
        if key.id != self.id:
            raise KeyRefusedError(
                "the secret key must be the one its record describes",
                got=f"key {key.id}, record of key {self.id}",
                fix=f"ask its owner for key {self.id}",
            )
        matches = _matches(self.hash, key)
        if matches is None:
            raise _no_memory()
        if not matches:
            raise KeyRefusedError(
                f"the record of key {self.id} must hold that key's hash",
                got="another hash",
                fix="the record was altered: restore it from version control or from its owner",
            )


def _no_memory() -> StorageError:
    return StorageError(
        f"the hash of a key needs {_MEMORY_KIB // 1024} MiB of memory",
        got="a refusal from Argon2",
        fix="free some memory and run the same command again",
    )


def _damaged(fault: str) -> KeyRefusedError:
    return KeyRefusedError(
        "a public key record must be as `seglock key publish` wrote it",
        got=fault,
        fix="restore it from version control; nothing was written over it",
    )


def _fault(values: dict[str, Any]) -> str | None:
    identity, hashed, created = values["id"], values["hash"], values["created"]
    version = values["derivation"]
    if not (isinstance(identity, str) and _ID.fullmatch(identity)):
        return "an id that is not 16 hexadecimal digits"
    match = _PHC.fullmatch(hashed) if isinstance(hashed, str) else None
    if match is None:
        return "a hash that is not Argon2id in PHC format"
    if any(not 1 <= int(match[name]) <= most for name, most in _MOST.items()):
        return "a hash whose cost is out of bounds"
    if not _is_utc(created):
        return "a time that is not ISO 8601 in UTC"
    if isinstance(version, bool) or not isinstance(version, int) or version < 1:
        return "a derivation that is not a version number"
    return None


def _is_utc(text: object) -> bool:
    try:
        return isinstance(text, str) and datetime.fromisoformat(text).utcoffset() == timedelta(0)
    except ValueError:
        return False


# Argon2's own frames hold the secret in their locals, so no exception of its leaves these two.


def _hash(key: SecretKey) -> str | None:
    import argon2

    hasher = argon2.PasswordHasher(time_cost=_PASSES, memory_cost=_MEMORY_KIB, parallelism=_LANES)
    try:
        return hasher.hash(reveal(key))
    except (argon2.exceptions.HashingError, MemoryError):
        return None


def _matches(hashed: str, key: SecretKey) -> bool | None:
    """None where Argon2 could not run."""
    import argon2

    try:
        return argon2.PasswordHasher().verify(hashed, reveal(key))
    except (argon2.exceptions.VerifyMismatchError, argon2.exceptions.InvalidHashError):
        return False
    except (argon2.exceptions.VerificationError, MemoryError):
        return None
