"""PyNaCl at work: a secret key sealed by a passphrase, or to another machine, and opened again.

Opening gives False where libsodium refuses. What PyNaCl raises has secrets in its frames' locals,
so no exception of its leaves these functions, and they give no secret bytes a name.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Literal

from seglock.keys.secret import SecretKey
from seglock.keys.secret_access import reveal

if TYPE_CHECKING:
    from nacl.secret import Aead

    from seglock.keys.passphrase import Passphrase

SALT_SIZE = 16
_BOX = "recipient/box"


def seal_by_passphrase(
    key: SecretKey, words: Passphrase, how: dict[str, Any], header: bytes
) -> bytes | None:
    """XChaCha20-Poly1305 of the secret, with ``header`` as associated data.

    ``how`` has the salt in hexadecimal, and Argon2id's passes and memory in bytes. None where that
    memory is not to be had.
    """
    box = _box(words, how)
    return None if box is None else bytes(box.encrypt(reveal(key), header))


def open_by_passphrase(
    ciphertext: bytes, words: Passphrase, how: dict[str, Any], header: bytes
) -> SecretKey | Literal[False] | None:
    """What `seal_by_passphrase` sealed; None where the memory is not to be had."""
    import nacl.exceptions

    box = _box(words, how)
    if box is None:
        return None
    try:
        return _key(box.decrypt(ciphertext, header))
    except (nacl.exceptions.CryptoError, ValueError):  # ValueError: far too short
        return False


def public_half(machine: SecretKey) -> str:
    """The public key of a machine whose own key is ``machine``: 64 hexadecimal digits.

    >>> public_half(SecretKey.from_bytes(bytes(range(32))))[:16]
    '22c7bfbd9c1688ce'
    """
    from nacl.public import PrivateKey

    return bytes(PrivateKey(machine.derive(_BOX)).public_key).hex()


def seal_box(key: SecretKey, public: str, header: bytes) -> bytes | None:
    """A sealed box for ``public``, of SHA-256 of ``header`` and the secret.

    None for a public key that libsodium refuses: a point of small order.
    """
    import nacl.exceptions
    from nacl.public import PublicKey, SealedBox

    box = SealedBox(PublicKey(bytes.fromhex(public)))
    try:
        return bytes(box.encrypt(hashlib.sha256(header).digest() + reveal(key)))
    except nacl.exceptions.CryptoError:
        return None


def open_box(ciphertext: bytes, machine: SecretKey, header: bytes) -> SecretKey | Literal[False]:
    """What `seal_box` sealed to the public half of ``machine``."""
    import nacl.exceptions
    from nacl.public import PrivateKey, SealedBox

    try:
        opened = SealedBox(PrivateKey(machine.derive(_BOX))).decrypt(ciphertext)
        return _key(opened, hashlib.sha256(header).digest())
    except (nacl.exceptions.CryptoError, TypeError):  # TypeError: far too short
        return False


def _box(words: Passphrase, how: dict[str, Any]) -> Aead | None:
    from nacl.secret import Aead

    salt, passes, memory = bytes.fromhex(how["salt"]), how["passes"], how["memory"]
    stretched = words.stretched(Aead.KEY_SIZE, salt, passes=passes, memory=memory)
    return None if stretched is None else Aead(stretched)


def _key(opened: bytes, before: bytes = b"") -> SecretKey | Literal[False]:
    """The key in what was opened, behind ``before``."""
    found = SecretKey._accept(opened.removeprefix(before)) if opened.startswith(before) else None
    return found if isinstance(found, SecretKey) else False
