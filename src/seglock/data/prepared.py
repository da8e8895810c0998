"""The prepared arrays of a dataset, opened memory-mapped."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from seglock.data.splits import SPLITS
from seglock.errors import DataError
from seglock.files import read_object, sha256_file

PREPARED_FILE = "prepared.json"
ARRAYS = tuple(f"{split}_{kind}.npy" for split in SPLITS for kind in ("images", "masks"))
_FIX = "run `dvc repro prepare`"
_FIELDS = {
    "dataset": str, "classes": list, "image_side": int, "digest": str, "ids": dict, "files": dict
}  # fmt: skip


@dataclass(frozen=True)
class Split:
    """Images and masks of one split, in the order of ``ids``.

    images: (N, 3, S, S) uint8 RGB, 0..255. masks: (N, S, S) uint8 class index, or 255 for void.
    Both are read-only mappings, which all readers share, of any size: pages that are not in use
    are the system's to take back.
    """

    name: str
    ids: tuple[str, ...]
    images: np.ndarray
    masks: np.ndarray

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True)
class PreparedData:
    """A prepared dataset. ``digest`` is a SHA-256 over all arrays, ``notes`` are for people."""

    folder: Path
    dataset: str
    classes: tuple[str, ...]
    image_side: int
    digest: str
    train: Split
    val: Split
    test: Split
    notes: tuple[str, ...] = ()

    @property
    def num_classes(self) -> int:
        """How many classes there are, background included and void not."""
        return len(self.classes)

    @classmethod
    def open(cls, folder: Path, *, verify: bool = True) -> PreparedData:
        """Open what ``seglock data prepare`` wrote.

        Shapes and sizes are always checked; ``verify`` also reads the arrays once and compares
        their digest. Raises DataError naming the file that is missing or damaged.
        """
        folder = Path(folder)
        info = read_object(folder / PREPARED_FILE, _FIELDS, error=DataError, fix=_FIX)
        try:
            side, ids, files = int(info["image_side"]), info["ids"], info["files"]
            splits = {
                split: Split(
                    split,
                    tuple(ids[split]),
                    _open_array(folder / f"{split}_images.npy", (len(ids[split]), 3, side, side)),
                    _open_array(folder / f"{split}_masks.npy", (len(ids[split]), side, side)),
                )
                for split in SPLITS
            }
            prepared = cls(
                folder,
                info["dataset"],
                tuple(info["classes"]),
                side,
                info["digest"],
                **splits,
                notes=tuple(info.get("notes", ())),
            )
        except (KeyError, TypeError, ValueError) as error:
            if isinstance(error, DataError):
                raise
            raise _damaged(folder / PREPARED_FILE, f"{type(error).__name__}: {error}") from error
        if verify:
            _verify(folder, files, prepared.digest)
        return prepared


def digest_files(files: dict[str, str]) -> str:
    """One SHA-256 over the SHA-256 of each array file."""
    return hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()


def _open_array(path: Path, shape: tuple[int, ...]) -> np.ndarray:
    try:
        if path.exists() and not path.is_file():  # a pipe would be waited for
            raise ValueError("no plain file")
        # Not "c", copy on write: Linux refuses to map a file so that is larger than memory.
        array: Any = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError as error:
        raise DataError(f"{path} must exist", got="no such file", fix=_FIX) from error
    except (OSError, ValueError, EOFError, SyntaxError) as error:
        raise _damaged(path, str(error)) from error
    if array.shape != shape or array.dtype != np.uint8:
        raise _damaged(path, f"{array.dtype} {array.shape} instead of uint8 {shape}")
    return array  # type: ignore[no-any-return]


def _verify(folder: Path, files: dict[str, str], digest: str) -> None:
    for name in ARRAYS:
        if sha256_file(folder / name) != files.get(name):
            raise _damaged(folder / name, "other bytes than were written")
    if digest_files(files) != digest:
        raise _damaged(folder / PREPARED_FILE, "a digest that is not that of its files")


def _damaged(path: Path, reason: str) -> DataError:
    return DataError(f"{path} must be as it was written", got=reason, fix=_FIX)
