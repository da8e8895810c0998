"""Stage ``encrypt@LOCK``: the test split as an authorised client would submit it.

Imports no torch: a lock's encryption of uint8 arrays is NumPy alone, and start-up counts.
"""

from __future__ import annotations

from pathlib import Path

from seglock import files
from seglock.config import load_params
from seglock.stages.locks import OpenLock, open_lock
from seglock.stages.outputs import sole_writer

ENCRYPTED_FILE = "test.enc"


def encrypt_split(lock: str, root: Path) -> Path:
    """Encrypt data/prepared's test images under a lock's key into data/encrypted/LOCK.

    The baseline's folder holds only the note that nothing is encrypted. Returns the folder, of
    mode 0700 with files of mode 0600, since it is as secret as the key.
    Raises KeyRefusedError when the secret is missing or does not match data/keys.
    """
    return encrypt_opened(open_lock(lock, load_params(root / "params.yaml"), root), root)


def encrypt_opened(lock: OpenLock, root: Path) -> Path:
    """The same for a lock with its key."""
    folder = root / "data" / "encrypted" / lock.name
    files.private_folder(folder.parent)
    # Else DVC, which does not cache it, would add it to the commits of experiments.
    files.write_text(folder.parent / ".gitignore", "*\n", mode=files.PRIVATE)
    with (
        sole_writer(root, "encrypted", lock.name),
        files.replacing_folder(folder, mode=files.PRIVATE_FOLDER) as out,
    ):
        images = 0 if lock.key is None else _encrypt(lock, root, out / ENCRYPTED_FILE)
        about = {"lock": lock.name, "steps": lock.params.steps, "key_id": lock.key_id}
        files.write_json(out / "encrypted.json", about | {"images": images}, mode=files.PRIVATE)
    return folder


def _encrypt(lock: OpenLock, root: Path, file: Path) -> int:
    from seglock.data import PreparedData, write_encrypted

    images = PreparedData.open(root / "data" / "prepared").test.images
    write_encrypted(file, images, lock.transform().encrypt, lock.encryption_nonce())
    return len(images)
