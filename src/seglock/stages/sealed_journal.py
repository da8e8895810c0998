"""The journal of an attack on disk, sealed: an estimate in it may be the true plan."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from seglock import files

if TYPE_CHECKING:
    from seglock.attacks.journal import Kept

_NONCE = 12


class SealedJournal:
    """One file an entry under ``folder``, AES-256-GCM under ``seal``, a subkey of the owner's key.

    An entry that cannot be opened is as good as none: the attack begins anew.
    """

    def __init__(self, folder: Path, seal: bytes) -> None:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        self._folder = folder
        self._cipher = AESGCM(seal)

    def read(self, name: str) -> Kept | None:
        """The entry of that name; None where there is none that can be opened."""
        from cryptography.exceptions import InvalidTag
        from safetensors.torch import load

        from seglock.attacks.journal import Kept

        path = self._folder / name
        if not path.is_file():
            return None
        content = path.read_bytes()
        try:
            plain = self._cipher.decrypt(content[:_NONCE], content[_NONCE:], name.encode())
        except (InvalidTag, ValueError):
            return None
        length = int.from_bytes(plain[:8], "little")
        return Kept(load(plain[8 + length :]), json.loads(plain[8 : 8 + length]))

    def write(self, name: str, kept: Kept) -> None:
        """Seal an entry and write it, whole or not at all."""
        from safetensors.torch import save

        about = json.dumps(dict(kept.about)).encode()
        tensors = {key: value.detach().cpu().contiguous() for key, value in kept.tensors.items()}
        plain = len(about).to_bytes(8, "little") + about + save(tensors)
        nonce = os.urandom(_NONCE)
        sealed = nonce + self._cipher.encrypt(nonce, plain, name.encode())
        files.write_bytes(self._folder / name, sealed, mode=files.PRIVATE)
