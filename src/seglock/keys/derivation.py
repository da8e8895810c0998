"""Plans from keys: permutations, the same on every platform and version.

AES-256-CTR (counter from zero) under a subkey gives a stream of little-endian uint64; a stable
argsort of ``size`` of them is the permutation. Two equal values would bias it, so a draw with a tie
is thrown away whole and the next ``size`` values are taken. No random generator is involved.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import CTR

from seglock.errors import KeyRefusedError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from seglock.keys.secret import SecretKey


def derive_permutation(key: SecretKey, use: str, size: int) -> NDArray[np.int64]:
    """The key's permutation of 0 .. size - 1 for one use: int64, shape (size,).

    Every one of the size! permutations is equally likely over random keys. The result is as secret
    as the key. Raises KeyRefusedError for a size below 1 or a reserved use.

    >>> from seglock.keys import SecretKey
    >>> derive_permutation(SecretKey.from_bytes(bytes(range(32))), "plan/order/0/shf-2-12", 12)
    array([ 9,  5, 11,  2,  4,  7,  8, 10,  0,  3,  1,  6])
    """
    if size < 1:
        raise KeyRefusedError("a permutation's size must be at least 1", got=f"size={size}")
    return _first_without_tie(_draws(key, use, size))


def _draws(key: SecretKey, use: str, size: int) -> Iterator[NDArray[np.uint64]]:
    import numpy as np

    stream = Cipher(AES256(key.derive(use)), CTR(bytes(16))).encryptor()
    while True:
        yield np.frombuffer(stream.update(bytes(8 * size)), dtype="<u8")


def _first_without_tie(draws: Iterator[NDArray[np.uint64]]) -> NDArray[np.int64]:
    import numpy as np

    for draw in draws:
        order = np.argsort(draw, kind="stable")
        ordered = draw[order]
        if not np.any(ordered[1:] == ordered[:-1]):
            return order.astype(np.int64, copy=False)
    raise AssertionError("the stream of draws never ends")
