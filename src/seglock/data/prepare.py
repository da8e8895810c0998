"""Raw VOC folder -> resized arrays, the same bytes for the same input, whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from seglock.data.arrays import row_writer
from seglock.data.check import Progress, check_dataset
from seglock.data.layout import VocFolder
from seglock.data.pictures import open_image, open_mask, resized
from seglock.data.prepared import ARRAYS, PREPARED_FILE, PreparedData, digest_files
from seglock.data.problems import require_sound
from seglock.data.remarks import class_notes, class_problems, count_labels
from seglock.data.splits import (
    EXTRA,
    Member,
    choose_splits,
    select_classes,
    selection_notes,
    used_lists,
)
from seglock.errors import DataError
from seglock.files import replacing_folder, sha256_file, write_json

if TYPE_CHECKING:
    from seglock.config import DataParams

_CHUNK = 64


def prepare_dataset(
    params: DataParams,
    raw: Path,
    out: Path,
    *,
    progress: Progress | None = None,
    enough: Callable[[int], None] | None = None,
) -> PreparedData:
    """Check, select, split and resize a raw folder into the arrays of ``PreparedData``.

    Images are resized bilinearly, masks by the nearest pixel. All problems of the dataset are
    reported in one DataError before anything is written, and so is a split with fewer than two
    classes at this size: every model would score 1.0 there. ``enough`` is asked before that
    whether so many training images will do; what it raises ends it.

    >>> import tempfile
    >>> from seglock.config import DataParams, SyntheticParams
    >>> from seglock.data import get_dataset
    >>> small = SyntheticParams(train=8, test=4, side=32)
    >>> params = DataParams(synthetic=small, val_split=2, image_side=16)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     get_dataset(params, Path(folder, "raw"))
    ...     data = prepare_dataset(params, Path(folder, "raw"), Path(folder, "prepared"))
    ...     data.train.images.shape, data.val.masks.shape, len(data.test)
    ((6, 3, 16, 16), (2, 16, 16), 4)
    """
    raw, out = Path(raw), Path(out)
    folder = _raw_folder(raw)
    lists = used_lists(params)
    found = check_dataset(raw, splits=lists, progress=progress)
    problems, notes = found.problems, found.notes
    if params.extra_source is not None:
        extra = _raw_folder(raw / EXTRA)
        if extra.classes != folder.classes:
            raise DataError(
                "data.extra_source must have the classes of the dataset",
                got=", ".join(extra.classes),
                fix=f"its classes.txt must name {', '.join(folder.classes)}",
            )
        more = check_dataset(extra.root, splits=[params.train_split], progress=progress)
        problems += more.problems
        notes += more.notes
    require_sound(problems, raw)
    classes, table = select_classes(folder.classes, params.classes)
    notes += selection_notes(folder.classes, classes)
    splits = choose_splits(params, raw)
    if enough:
        enough(len(splits["train"]))
    with replacing_folder(out) as target:
        pixels = {
            name: _write_split(target, name, members, params.image_side, table, progress)
            for name, members in splits.items()
        }
        require_sound(class_problems(pixels, classes), raw)
        files = {name: sha256_file(target / name) for name in ARRAYS}
        write_json(
            target / PREPARED_FILE,
            {
                "dataset": params.dataset,
                "classes": list(classes),
                "image_side": params.image_side,
                "notes": notes + class_notes(pixels, classes),
                "counts": {name: len(members) for name, members in splits.items()},
                "digest": digest_files(files),
                "files": files,
                "ids": {name: [m.id for m in members] for name, members in splits.items()},
            },
        )
    return PreparedData.open(out, verify=False)


def resize_pair(member: Member, side: int, table: bytes) -> tuple[np.ndarray, np.ndarray]:
    """One image (3, S, S) and its mask (S, S), both uint8; ``table`` maps the mask's indices."""
    from PIL import Image

    image = open_image(member.folder.images(member.id)[0])
    mask = open_mask(member.folder.masks(member.id)[0])
    size = (side, side)
    mask = mask.resize(size, Image.Resampling.NEAREST) if mask.size != size else mask
    labels = np.frombuffer(table, dtype=np.uint8)[np.asarray(mask)]
    return resized(image, side), labels


def _raw_folder(raw: Path) -> VocFolder:
    if not raw.is_dir():
        raise DataError(
            f"{raw} must hold the raw dataset", got="no such folder", fix="run `dvc repro prepare`"
        )
    return VocFolder(raw)


def _write_split(
    target: Path,
    name: str,
    members: Sequence[Member],
    side: int,
    table: bytes,
    progress: Progress | None,
) -> np.ndarray:
    """Write the two arrays of a split side by side, ``_CHUNK`` images in memory at a time.

    Returns how many pixels each label has in its masks, (256,) int64.
    """
    count = len(members)
    pixels = np.zeros(256, np.int64)
    with (
        ThreadPoolExecutor(os.cpu_count()) as pool,
        row_writer(target / f"{name}_images.npy", (count, 3, side, side)) as write_image,
        row_writer(target / f"{name}_masks.npy", (count, side, side)) as write_mask,
    ):
        for start in range(0, count, _CHUNK):
            chunk = members[start : start + _CHUNK]
            for image, mask in pool.map(lambda m: resize_pair(m, side, table), chunk):
                write_image(image)
                write_mask(mask)
                pixels += count_labels(mask)
            if progress is not None:
                progress(f"resizing {name}", start + len(chunk), count)
    return pixels
