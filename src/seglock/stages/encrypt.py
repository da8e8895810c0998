"""Stage ``encrypt@LOCK``: the test split as an authorised client would submit it.

Imports no torch: a lock's encryption of uint8 arrays is NumPy alone, and start-up counts.
"""

from __future__ import annotations

from pathlib import Path

from seglock import files
from seglock.config import LockParams, find_lock, load_params
from seglock.keys import PublicRecord, SecretKey, load_key
from seglock.stages.locks import lock_transform
from seglock.stages.outputs import sole_writer

ENCRYPTED_FILE = "test.enc"


def encryption_nonce(key: SecretKey, name: str, lock: LockParams) -> bytes:
    """The 32 bytes an encrypted split begins with, so that its digest is no oracle for the plan.

    Another plan has another nonce: who was sent a split of an earlier one knows that one's.
    """
    return key.nonce(f"encrypted/{name}/{'+'.join(lock.steps)}/{lock.ffx_password}")


def encrypt_split(lock: str, root: Path) -> Path:
    """Encrypt data/prepared's test images under a lock's key into data/encrypted/LOCK.

    The baseline's folder holds only the note that nothing is encrypted. Returns the folder, of
    mode 0700 with files of mode 0600, since it is as secret as the key.
    Raises KeyRefusedError when the secret is missing or does not match data/keys.
    """
    from seglock.data import PreparedData, write_encrypted

    params = load_params(root / "params.yaml")
    definition = find_lock(params, lock)
    folder = root / "data" / "encrypted" / lock
    files.private_folder(folder.parent)
    # Else DVC, which does not cache it, would add it to the commits of experiments.
    files.write_text(folder.parent / ".gitignore", "*\n", mode=files.PRIVATE)
    note: dict[str, object] = {"lock": lock, "steps": definition.steps, "key_id": None, "images": 0}
    if not definition.steps:
        with (
            sole_writer(root, "encrypted", lock),
            files.replacing_folder(folder, mode=files.PRIVATE_FOLDER) as out,
        ):
            files.write_json(out / "encrypted.json", note, mode=files.PRIVATE)
        return folder
    record = PublicRecord.from_file(root / "data" / "keys" / f"{definition.key}.json")
    key = load_key(definition.key, record=record)
    transform = lock_transform(definition, key)
    images = PreparedData.open(root / "data" / "prepared").test.images
    note |= {"key_id": key.id, "images": len(images)}
    with (
        sole_writer(root, "encrypted", lock),
        files.replacing_folder(folder, mode=files.PRIVATE_FOLDER) as out,
    ):
        nonce = encryption_nonce(key, lock, definition)
        write_encrypted(out / ENCRYPTED_FILE, images, transform.encrypt, nonce)
        files.write_json(out / "encrypted.json", note, mode=files.PRIVATE)
    return folder
