"""Passphrase: words that seal a key on its way to another machine, shown nowhere by accident."""

from __future__ import annotations

from collections.abc import Callable
from typing import final

from seglock.errors import KeyRefusedError

LEAST, MOST = 12, 1024


@final
class Passphrase:
    """Bytes that a person chose. ``repr`` and ``str`` show none of them.

    >>> Passphrase(b"correct horse battery staple")
    Passphrase(...)
    """

    # In a closure, as a SecretKey's bytes are: tools that show attributes show a function.
    __slots__ = ("_unseal",)
    _unseal: Callable[[], bytes]

    def __init__(self, text: bytes) -> None:
        self._unseal = lambda: text

    def __repr__(self) -> str:
        return "Passphrase(...)"

    def require_strong(self) -> None:
        """Raise KeyRefusedError for one that is shorter than 12 bytes, or longer than 1024."""
        length = len(self._unseal())
        if not LEAST <= length <= MOST:
            raise KeyRefusedError(
                f"a passphrase must be {LEAST} to {MOST} bytes",
                got=f"{length}",
                fix="use five or more random words; who has the file can try out short ones",
            )

    def same(self, other: Passphrase) -> bool:
        """Whether both are the same words."""
        return self._unseal() == other._unseal()

    def stretched(self, size: int, salt: bytes, *, passes: int, memory: int) -> bytes | None:
        """``size`` bytes by Argon2id; ``memory`` in bytes. None where the memory is not to be had.

        What libsodium raises has the passphrase in its frames, so it ends here.
        """
        import nacl.exceptions
        from nacl.pwhash import argon2id

        try:
            return argon2id.kdf(size, self._unseal(), salt, opslimit=passes, memlimit=memory)
        except (nacl.exceptions.CryptoError, MemoryError):
            return None
