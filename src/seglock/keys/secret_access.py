"""The dangerous door: the only way from a ``SecretKey`` to its bytes.

Import this only to write a secret to its store, to hash it for its public record, or to search for
it (the audit). A test holds that nothing else in the package does. Do not give the result a name
in a function that can raise: a traceback may be shown with locals.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from seglock.keys.secret import SecretKey


def reveal(key: SecretKey) -> bytes:
    """The 32 secret bytes of ``key``.

    >>> from seglock.keys import SecretKey
    >>> reveal(SecretKey.from_bytes(bytes(range(32)))) == bytes(range(32))
    True
    """
    return key._unseal()
