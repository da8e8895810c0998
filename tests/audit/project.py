"""A small project with everything the audit looks at: git, DVC, MLflow, records, one known key."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
from pathlib import Path

import numpy as np
import yaml
from PIL import Image

from seglock.config import load_params
from seglock.data import PreparedData, prepare_dataset, write_encrypted, write_synthetic
from seglock.keys import KeyStore, PublicRecord, SecretKey
from seglock.transforms import Transform, compose

SECRET = hashlib.sha256(b"the key of the audit's tests").digest()
LOCKS = {
    "baseline": [],
    "np-2": ["np-2"],
    "shf-4": ["shf-4"],
    "np-4": ["np-4"],
    "ffx-4": ["ffx-4"],
    "shf-32": ["shf-32"],
}
TINY = {step: [step] for step in ("np-1", "shf-1", "shf-2", "ffx-2")}
SIDE = 32
TRAIN, VAL, TEST = 4, 2, 8


def make_project(root: Path, keys: Path) -> None:
    """A committed project whose encrypted split is where it belongs: closed, and not cached."""
    values = {
        "data": {
            "dataset": "synthetic", "val_split": VAL, "image_side": SIDE,
            "synthetic": {"train": TRAIN + VAL, "test": TEST, "side": SIDE, "classes": 4},
        },
        "locks": {name: {"steps": steps} for name, steps in (LOCKS | TINY).items()},
    }  # fmt: skip
    (root / "params.yaml").write_text(yaml.safe_dump(values))
    params = load_params(root / "params.yaml")
    make_key(keys)
    write_synthetic(params.data.synthetic, root / "data" / "raw")
    prepare_dataset(params.data, root / "data" / "raw", root / "data" / "prepared")
    for name in LOCKS:
        if name != "baseline":
            path = root / "data" / "encrypted" / name / "test.enc"
            images = PreparedData.open(root / "data" / "prepared").test.images
            write_encrypted(path, images, transform(name).encrypt, bytes(range(32)))
    stages = {
        "encrypt": {"cmd": "true", "outs": [{"data/encrypted": {"cache": False}}]},
        "prepare": {"cmd": "true", "outs": ["data/prepared"]},
    }
    (root / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages}))
    (root / ".gitignore").write_text("/data/\n/mlruns/\n/.seglock/\n")
    run(root, "git", "init", "-q", "-b", "main")
    run(root, "dvc", "init", "-q")
    run(root, "dvc", "commit", "-q", "-f")
    commit(root, "a clean project")


def make_key(folder: Path) -> None:
    """The known key as ``main`` of a store."""
    key = SecretKey.from_bytes(SECRET)
    place = KeyStore(folder).path("main")
    folder.mkdir(mode=0o700, exist_ok=True)
    place.mkdir(mode=0o700)
    (place / "secret").write_bytes(SECRET)
    (place / "secret").chmod(0o600)
    (place / "record.json").write_bytes(PublicRecord.of(key).to_bytes())


def transform(lock: str, key: SecretKey | None = None) -> Transform:
    """The transform of a lock, under the known key unless another is given."""
    return compose(LOCKS[lock], key=key or SecretKey.from_bytes(SECRET))


def encrypted(root: Path, lock: str, key: SecretKey | None = None) -> np.ndarray:
    """All test images of the project under a lock, (N, 3, S, S)."""
    images = PreparedData.open(root / "data" / "prepared").test.images
    return np.asarray(transform(lock, key).encrypt(np.asarray(images)))


def run(root: Path, *command: str) -> str:
    """Run a program in the project; its output."""
    environment = {
        **os.environ, "GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@example.org",
        "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@example.org",
        "DVC_NO_ANALYTICS": "true",
    }  # fmt: skip
    if command[0] == "dvc":
        import sys

        command = (sys.executable, "-m", *command)
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def commit(root: Path, message: str) -> None:
    """Commit everything that git does not ignore."""
    run(root, "git", "add", "-A")
    run(root, "git", "commit", "-q", "--allow-empty", "-m", message)


def npy(array: np.ndarray) -> bytes:
    """As ``np.save`` writes it."""
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def npz(array: np.ndarray) -> bytes:
    """As ``np.savez_compressed`` writes it."""
    file = io.BytesIO()
    np.savez_compressed(file, array=array)
    return file.getvalue()


def savetxt(array: np.ndarray) -> bytes:
    """As ``np.savetxt`` writes it."""
    file = io.StringIO()
    np.savetxt(file, array)
    return file.getvalue().encode()


def png(array: np.ndarray) -> bytes:
    """(H, W) or (H, W, 3) uint8 as a PNG."""
    file = io.BytesIO()
    Image.fromarray(array).save(file, "PNG")
    return file.getvalue()
