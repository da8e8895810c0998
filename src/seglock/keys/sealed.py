"""A key on its way to another machine: one JSON file, of use to whom it was sealed for alone.

``sealed_for`` is "passphrase" (Argon2id, then XChaCha20-Poly1305 with all other fields as its
associated data) or "recipient" (a libsodium sealed box, which holds SHA-256 of the other fields
beside the secret, since such a box has no associated data). ``sha256``, of all that comes before
it, tells damage from a wrong passphrase. All cryptography is libsodium's, by PyNaCl.

A sealed box says nothing of who made it: anyone may seal a key of theirs to a public key.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal, Self

from seglock.errors import KeyRefusedError
from seglock.foreign import is_name, parse_json
from seglock.keys.record import PublicRecord
from seglock.keys.sealing import (
    SALT_SIZE,
    open_box,
    open_by_passphrase,
    public_half,
    seal_box,
    seal_by_passphrase,
)

if TYPE_CHECKING:
    from seglock.keys.passphrase import Passphrase
    from seglock.keys.secret import SecretKey

FORMAT, VERSION = "seglock sealed key", 1
PASSPHRASE, RECIPIENT = "passphrase", "recipient"
MOST_BYTES = 1 << 16
_MEMORY, _PASSES = 256 << 20, 3  # libsodium's "moderate": some 0.7 s
_MOST_MEMORY, _MOST_PASSES = 1 << 30, 16  # a file asking for more is refused, not obeyed
_PUBLIC = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class SealedKey:
    """A sealed key as its file has it.

    name: the key's, where it was. record: its public record. sealed_for: "passphrase" or
    "recipient". how: for a passphrase {"kdf": "argon2id", "memory", "passes", "salt"}, for a
    recipient {"public": 64 hexadecimal digits}. ciphertext: the secret, sealed.
    """

    name: str
    record: PublicRecord
    sealed_for: str
    how: dict[str, Any]
    ciphertext: bytes

    @classmethod
    def by_passphrase(
        cls, name: str, key: SecretKey, record: PublicRecord, words: Passphrase
    ) -> Self:
        """Seal for whoever knows the passphrase; takes some 0.7 s and 256 MiB.

        Raises KeyRefusedError for a passphrase that is too short, or without that memory.
        """
        words.require_strong()
        salt = os.urandom(SALT_SIZE).hex()
        how = {"kdf": "argon2id", "memory": _MEMORY, "passes": _PASSES, "salt": salt}
        ciphertext = seal_by_passphrase(key, words, how, _header(name, record, PASSPHRASE, how))
        if ciphertext is None:
            raise _no_memory(_MEMORY)
        return cls(name, record, PASSPHRASE, how, ciphertext)

    @classmethod
    def to_recipient(cls, name: str, key: SecretKey, record: PublicRecord, public: str) -> Self:
        """Seal to the machine whose `public_half` is ``public``."""
        how = {"public": public}
        header = _header(name, record, RECIPIENT, how)
        ciphertext = seal_box(key, public, header) if _PUBLIC.fullmatch(public) else None
        if ciphertext is None:
            raise KeyRefusedError(
                "a recipient's public key must be 64 hexadecimal digits",
                got=f"{len(public)} characters that are none",
                fix="have your colleague run `seglock key recipient`, and paste what it prints",
            )
        return cls(name, record, RECIPIENT, how, ciphertext)

    def to_bytes(self) -> bytes:
        """The file."""
        values = _fields(self.name, self.record, self.sealed_for, self.how)
        values["ciphertext"] = base64.b64encode(self.ciphertext).decode()
        values["sha256"] = hashlib.sha256(_canonical(values)).hexdigest()
        return (json.dumps(values, indent=2) + "\n").encode()

    @classmethod
    def from_bytes(cls, content: bytes) -> Self:
        """Read what ``to_bytes`` wrote; anything else is a KeyRefusedError that says what it is."""
        try:
            values = parse_json(content)
        except ValueError:
            values = None
            if FORMAT.encode() in content[:256]:
                raise _damaged("a file that ends too early, or is no JSON any more") from None
        if not isinstance(values, dict) or values.get("format") != FORMAT:
            raise KeyRefusedError(
                "it must be a key that `seglock key export` wrote",
                got="something else",
                fix="ask for such a file",
            )
        if values.get("version") != VERSION:
            raise KeyRefusedError(
                f"a sealed key must be of version {VERSION}",
                got=f"version {values['version']!r}" if "version" in values else "none",
                fix="import it with the seglock that wrote it",
            )
        digest = values.pop("sha256", None)
        if digest != hashlib.sha256(_canonical(values)).hexdigest():
            raise _damaged("bytes that do not match its checksum")
        sealed = cls._checked(values)
        if sealed is None:
            raise _damaged("fields that no export has")
        return sealed

    @classmethod
    def _checked(cls, values: dict[str, Any]) -> Self | None:
        try:
            record = PublicRecord(**values["record"])
            ciphertext = base64.b64decode(values["ciphertext"], validate=True)
            name, sealed_for, how = values["name"], values["sealed_for"], values["how"]
            known = _fields(name, record, sealed_for, how).keys() | {"ciphertext"}
            right = is_name(name) and _RIGHT[sealed_for](how)
        except (KeyError, TypeError, ValueError):  # a KeyRefusedError of the record is one too
            return None
        if not right or known != values.keys():
            return None
        return cls(name, record, sealed_for, how, ciphertext)

    def by(self, words: Passphrase) -> SecretKey:
        """The key, by its passphrase. Raises KeyRefusedError for a wrong one."""
        opened = open_by_passphrase(self.ciphertext, words, self.how, self._header)
        if opened is None:
            raise _no_memory(self.how["memory"])
        return self._verified(opened, "another passphrase", "type it exactly as it was chosen")

    def of(self, machine: SecretKey) -> SecretKey:
        """The key, by the recipient's own key. Raises KeyRefusedError for another recipient's."""
        own = public_half(machine)
        if own != self.how["public"]:
            raise KeyRefusedError(
                "the key must have been sealed to this machine",
                got=f"one for the public key {self.how['public']}",
                fix=f"have it exported again with --to {own}",
            )
        opened = open_box(self.ciphertext, machine, self._header)
        return self._verified(opened, "a file that was changed", "ask for it again")

    @property
    def _header(self) -> bytes:
        return _header(self.name, self.record, self.sealed_for, self.how)

    def _verified(self, found: SecretKey | Literal[False], otherwise: str, fix: str) -> SecretKey:
        if found is False:
            raise KeyRefusedError(
                f"key {self.record.id} must be opened by what it was sealed for",
                got=otherwise,
                fix=fix,
            )
        self.record.verify(found)
        return found


def _fields(
    name: str, record: PublicRecord, sealed_for: str, how: dict[str, Any]
) -> dict[str, Any]:
    about = {"format": FORMAT, "version": VERSION, "name": name, "record": asdict(record)}
    return about | {"sealed_for": sealed_for, "how": how}


def _header(name: str, record: PublicRecord, sealed_for: str, how: dict[str, Any]) -> bytes:
    return _canonical(_fields(name, record, sealed_for, how))


def _canonical(values: dict[str, Any]) -> bytes:
    return json.dumps(values, sort_keys=True, separators=(",", ":")).encode()


def _right_passphrase(how: dict[str, Any]) -> bool:
    memory, passes, salt = how["memory"], how["passes"], how["salt"]
    return (
        how == {"kdf": "argon2id", "memory": memory, "passes": passes, "salt": salt}
        and type(memory) is type(passes) is int
        and 1 << 13 <= memory <= _MOST_MEMORY
        and 1 <= passes <= _MOST_PASSES
        and re.fullmatch(rf"[0-9a-f]{{{2 * SALT_SIZE}}}", salt) is not None
    )


def _right_recipient(how: dict[str, Any]) -> bool:
    return how == {"public": how["public"]} and _PUBLIC.fullmatch(how["public"]) is not None


_RIGHT = {PASSPHRASE: _right_passphrase, RECIPIENT: _right_recipient}


def _damaged(what: str) -> KeyRefusedError:
    return KeyRefusedError(
        "a sealed key must be as `seglock key export` wrote it", got=what, fix="ask for it again"
    )


def _no_memory(size: int) -> KeyRefusedError:
    return KeyRefusedError(
        f"stretching a passphrase takes {size >> 20} MiB of memory",
        got="less",
        fix="free some and run the same command again",
    )
