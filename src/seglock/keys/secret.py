"""SecretKey: 32 random bytes that do not print, compare, hash, copy or pickle by accident.

Every function that holds raw bytes in a local name drops it before it raises, or returns the fault
for its caller to raise: a traceback may be shown with the locals of all its frames.
"""

from __future__ import annotations

import hmac
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn, Self, SupportsIndex, final

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from seglock.errors import KeyRefusedError, as_command
from seglock.foreign import open_plain

DERIVATION_VERSION = 2
_LABEL = f"seglock/v{DERIVATION_VERSION}/".encode()
# Values under these labels are public or are keys themselves, so ``derive`` does not give them.
_RESERVED = ("id", "wrong/", "nonce/")


class KeyExposureError(KeyRefusedError, TypeError):
    """Code tried to copy or serialise a secret key; the message names the call to use instead."""


@final
class SecretKey:
    """A handle on 32 secret bytes: give it to the calls that need it, as it is.

    Made by ``generate``, ``from_bytes`` or ``from_file``. ``repr``, ``str`` and formatting show the
    public id only, ``==`` takes constant time, and a key cannot be hashed, copied or pickled.

    Examples:
        >>> key = SecretKey.from_bytes(bytes(range(32)))
        >>> key
        SecretKey(id=70d0aae9ca27f01c)
        >>> key == SecretKey.from_bytes(bytes(range(32))), key == SecretKey.generate()
        (True, False)
    """

    SIZE = 32
    # The bytes sit in a closure, not in an attribute: tools that show attributes show a function.
    __slots__ = ("_id", "_unseal")
    _id: str
    _unseal: Callable[[], bytes]

    def __init__(self) -> None:
        raise KeyRefusedError(
            "a SecretKey is not made by calling its class",
            fix="use SecretKey.generate(), .from_bytes(b) or .from_file(path)",
        )

    @classmethod
    def generate(cls) -> Self:
        """A new key from the operating system's random source."""
        return cls.from_bytes(os.urandom(cls.SIZE))

    @classmethod
    def from_bytes(cls, secret: bytes | bytearray | memoryview) -> Self:
        """A key from 32 random bytes.

        Raises KeyRefusedError for another type or length, for one byte repeated, and for text:
        a passphrase is not a key.
        """
        found = cls._accept(secret)
        if isinstance(found, KeyRefusedError):
            del secret
            raise found
        return found

    @classmethod
    def from_file(cls, path: Path | str) -> Self:
        """A key from a file of exactly 32 raw bytes that nobody but its owner can open.

        Raises KeyRefusedError for a file that is missing, not a plain file, another user's
        (root's is fine), open to its group or to others, or of another length or content
        than ``from_bytes`` takes.
        """
        found = cls._accept(_read_private(Path(path)))
        if isinstance(found, KeyRefusedError):
            raise KeyRefusedError(f"{path}: {found.rule}", got=found.got, fix=found.fix)
        return found

    @classmethod
    def _accept(cls, secret: object) -> Self | KeyRefusedError:
        """The key, or the reason against it: to be raised where no local holds the bytes."""
        if not isinstance(secret, bytes | bytearray | memoryview):
            return KeyRefusedError(
                "a secret key must be bytes",
                got=f"type {type(secret).__name__}",
                fix="use SecretKey.generate(), or decode hexadecimal or base64 text first",
            )
        secret = bytes(secret)
        if len(secret) != cls.SIZE:
            return KeyRefusedError(
                f"a secret key must be exactly {cls.SIZE} bytes",
                got=f"{len(secret)} bytes",
                fix="make one with `seglock key new NAME` or SecretKey.generate()",
            )
        if fault := _not_random(secret):
            return KeyRefusedError(
                "a secret key must be random bytes",
                got=fault,
                fix="make one with `seglock key new NAME` or SecretKey.generate()",
            )
        return cls._seal(secret)

    @classmethod
    def _seal(cls, secret: bytes) -> Self:
        self = object.__new__(cls)
        self._unseal = lambda: secret
        self._id = self._expand("id", 8).hex()
        return self

    def _expand(self, use: str, length: int) -> bytes:
        info = _LABEL + use.encode()
        return HKDF(algorithm=SHA256(), length=length, salt=None, info=info).derive(self._unseal())

    @property
    def id(self) -> str:
        """Public name of the key: 16 hexadecimal digits, 8 bytes of HKDF(secret, "id")."""
        return self._id

    def derive(self, use: str, length: int = 32) -> bytes:
        """A subkey for one use: HKDF-SHA256 (RFC 5869), no salt, info ``seglock/v2/USE``.

        ``length`` is in bytes, 1 to 8160; a shorter subkey is a prefix of a longer one of the same
        use. The result is as secret as the key. Raises KeyRefusedError for a reserved use.

        Examples:
            >>> SecretKey.from_bytes(bytes(range(32))).derive("example", 4).hex()
            '7a291a81'
        """
        if not use or use == _RESERVED[0] or use.startswith(_RESERVED[1:]):
            raise KeyRefusedError(
                "a subkey's use must be a label of its own",
                got=repr(use),
                fix="name the use; .id, .wrong(i) and .nonce(use) give the reserved ones",
            )
        return self._expand(use, length)

    def wrong(self, index: int, use: str = "") -> SecretKey:
        """Wrong key number ``index`` (from 0): the same for the owner each time, secret otherwise.

        Those of one ``use`` have nothing in common with those of another; without one they are
        evaluation's. It is as dangerous as the key to print or store: publish its scores only.
        """
        if index < 0:
            raise KeyRefusedError("a wrong key's number must be at least 0", got=index)
        label = f"wrong/{use}/{index}" if use else f"wrong/{index}"
        return self._seal(self._expand(label, self.SIZE))

    def nonce(self, use: str) -> bytes:
        """32 bytes that begin a file made for ``use``; they tell nothing of the key.

        They keep the file's digest from confirming a guess of the plan in a small key space.
        """
        return self._expand(f"nonce/{use}", 32)

    def __repr__(self) -> str:
        return f"SecretKey(id={self._id})"

    def __format__(self, spec: str) -> str:
        return format(repr(self), spec)

    def __eq__(self, other: object) -> bool:  # no __hash__ goes with it, on purpose
        if not isinstance(other, SecretKey):
            return NotImplemented
        return hmac.compare_digest(self._unseal(), other._unseal())

    def __reduce_ex__(self, protocol: SupportsIndex) -> NoReturn:
        raise KeyExposureError(
            "a secret key cannot be pickled",
            fix="load it where it is needed, with seglock.keys.load_key(name)",
        )

    def __getstate__(self) -> NoReturn:
        self.__reduce_ex__(2)

    def __copy__(self) -> NoReturn:
        raise KeyExposureError(
            "a secret key cannot be copied", fix="share the same object; it never changes"
        )

    def __deepcopy__(self, memo: object) -> NoReturn:
        self.__copy__()

    def __bytes__(self) -> NoReturn:
        raise KeyExposureError(
            "a secret key does not turn into bytes by itself",
            fix="use .derive(use) for a subkey; seglock.keys.secret_access is the door to the rest",
        )


def demonstration_key() -> SecretKey:
    """The public constant that pictures are encrypted with: known to all, it protects nothing.

    It is SHA-256 of ``seglock demonstration key: public, protects nothing``.

    >>> demonstration_key()
    SecretKey(id=73e07479b08e6fc5)
    """
    digest = "a47aa8e2fb420a020dbabd2e4c319792192bcbdfb1ae96667d089b394424dfb4"
    return SecretKey.from_bytes(bytes.fromhex(digest))


def _not_random(secret: bytes) -> str | None:
    if len(set(secret)) == 1:
        return "one byte repeated"
    # Bytes that are not UTF-8 become lone surrogates, which are not printable.
    text = secret.rstrip(b"\0").decode(errors="surrogateescape")
    if all(letter.isprintable() or letter.isspace() for letter in text):
        return "readable text"
    return None


def _read_private(path: Path) -> bytes:
    """Up to SIZE + 1 bytes of a private file; permissions are read from the opened file."""
    try:
        handle = open_plain(path.resolve(), own=True)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise KeyRefusedError(
            f"{path} must be a key file that you can read", got=reason, fix="check the path"
        ) from None
    with os.fdopen(handle, "rb") as file:
        mode = os.fstat(handle).st_mode
        if mode & 0o077:
            raise KeyRefusedError(
                f"{path} must be closed to everyone but its owner",
                got=f"mode {stat.S_IMODE(mode):04o}",
                fix=f"if nobody can have read it run {as_command('chmod', '600', path)}, else make "
                "a new key",
            )
        return file.read(SecretKey.SIZE + 1)
