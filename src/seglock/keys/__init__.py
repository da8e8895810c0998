"""keys: secret keys, what is derived from them, where they are kept, and what is public of them.

May touch the operating system's randomness, the key store's folder, the ``SEGLOCK_KEY_*``
environment and public record files. Knows nothing of images. Secret bytes leave a ``SecretKey``
through one door, ``seglock.keys.secret_access``, which only this room (and the audit) may open.

What Python cannot do is not promised: memory is not wiped. A secret's bytes stay in the process
until they are garbage collected and overwritten, and may reach swap or a core dump.
"""

from seglock.keys.derivation import derive_permutation
from seglock.keys.loading import load_key, publish_key
from seglock.keys.passphrase import Passphrase
from seglock.keys.record import PublicRecord
from seglock.keys.sealed import SealedKey
from seglock.keys.sealing import public_half
from seglock.keys.secret import (
    DERIVATION_VERSION,
    KeyExposureError,
    SecretKey,
    demonstration_key,
)
from seglock.keys.store import KeyStore

__all__ = [
    "DERIVATION_VERSION",
    "KeyExposureError",
    "KeyStore",
    "Passphrase",
    "PublicRecord",
    "SealedKey",
    "SecretKey",
    "demonstration_key",
    "derive_permutation",
    "load_key",
    "public_half",
    "publish_key",
]
