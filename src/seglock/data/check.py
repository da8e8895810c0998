"""What is wrong with a dataset: every problem at once, not the first one."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from seglock.data.layout import CLASSES_FILE, VOID, VocFolder, find_voc_folder
from seglock.data.names import IMAGE_SUFFIXES, IMAGES, MASK_SUFFIXES, MASKS, is_id
from seglock.data.pictures import STORED_SIZE, open_image, open_mask
from seglock.data.problems import Problem
from seglock.data.remarks import Pixels, Remarks, class_problems, count_labels, labels_seen
from seglock.data.splits import SPLITS
from seglock.errors import DataError

if TYPE_CHECKING:
    from PIL.Image import Image

_CHUNK = 1024

Progress = Callable[[str, int, int | None], None]
"""Called with what is being done, how much of it is done, and how much there is in all."""


@dataclass(frozen=True)
class Findings:
    """What was looked at and found: problems, and notes on what may not be as meant.

    classes: () where their names cannot be read. images: how many each list names.
    """

    folder: Path
    classes: tuple[str, ...]
    images: Mapping[str, int]
    problems: list[Problem]
    notes: list[str]
    pixels: Pixels


def check_dataset(
    root: Path,
    *,
    splits: Sequence[str] | None = None,
    pixels: bool = True,
    progress: Progress | None = None,
) -> Findings:
    """Find every problem of a dataset, and what may not be as meant; each file is decoded once.

    ``splits`` are names of lists; by default those of train, val and test that exist, or else all.
    With ``pixels`` false only lists and file names are looked at. A sound dataset has no problems;
    raises DataError when ``root`` is no dataset at all.

    >>> import tempfile
    >>> from seglock.config import SyntheticParams
    >>> from seglock.data import write_synthetic
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_synthetic(SyntheticParams(train=2, test=1, side=16), Path(folder, "raw"))
    ...     Path(folder, "raw", "JPEGImages", "synthetic_000001.png").unlink()
    ...     print(*check_dataset(Path(folder, "raw")).problems)
    synthetic_000001: no such image in JPEGImages/
    """
    folder = find_voc_folder(root)
    problems: list[Problem] = []
    notes: list[str] = []
    classes: tuple[str, ...] = ()
    fault = ""
    try:
        classes = folder.classes
    except DataError as error:
        fault = str(error)
    if folder.is_pascal:
        notes.append(
            f"no {CLASSES_FILE}, and the ids are PASCAL VOC's: labels are read as its 21 classes"
        )
    lists = folder.lists
    splits = splits or [name for name in SPLITS if name in lists] or lists
    members, images = _check_lists(folder, splits, problems)
    problems += _check_files(folder, members)
    remarks = Remarks()
    if pixels:
        problems += _check_pixels(folder, members, len(classes), remarks, progress)
        problems += remarks.problems
        if classes:
            problems += class_problems(remarks.pixels, classes)
    if fault:
        problems.insert(0, Problem("classes", CLASSES_FILE, fault + labels_seen(remarks.pixels)))
    notes += remarks.notes()
    return Findings(folder.root, classes, images, problems, notes, remarks.pixels)


def _check_lists(
    folder: VocFolder, splits: Sequence[str], problems: list[Problem]
) -> tuple[dict[str, str], dict[str, int]]:
    """The split that each id is first named in, and how many each names; adds to ``problems``."""
    images = dict.fromkeys(splits, 0)
    first: dict[str, str] = {}
    if not splits:
        problems.append(Problem("missing list", str(folder.list_path("train")), "no lists at all"))
    for split in splits:
        where = folder.list_path(split).name
        try:
            names = folder.ids(split)
        except DataError as error:
            problems.append(Problem("missing list", where, str(error)))
            continue
        images[split] = len(names)
        if not names:
            problems.append(Problem("empty split", where, "names no images"))
        for name, times in Counter(names).items():
            if not is_id(name):
                message = f"an id must name a file, got {name!r}; write one id a line"
                problems.append(Problem("bad id", where, message))
                continue
            if times > 1:
                problems.append(Problem("duplicate id", where, f"{name} is named {times} times"))
            if first.setdefault(name, split) != split:
                message = f"{name} is also in {first[name]}"
                problems.append(Problem("id in two splits", where, message))
    return first, images


def _check_files(folder: VocFolder, ids: Iterable[str]) -> list[Problem]:
    problems = []
    for name in ids:
        for kind, place, suffixes, files in (
            ("image", IMAGES, IMAGE_SUFFIXES, folder.images(name)),
            ("mask", MASKS, MASK_SUFFIXES, folder.masks(name)),
        ):
            if len(files) > 1:
                found = ", ".join(file.name for file in files)
                problems.append(Problem(f"two {kind}s", name, f"{found} in {place}/"))
            elif not files:
                message = f"no such {kind} in {place}/"
                if others := folder.files(place, name):
                    message += f", and {others[0].name!r} is none of {', '.join(suffixes)}"
                problems.append(Problem(f"missing {kind}", name, message))
    return problems


@dataclass
class _Pair:
    """What was found in an image and its mask."""

    problems: list[Problem] = field(default_factory=list)
    turned: bool = False
    counts: np.ndarray | None = None
    palette: Sequence[int] | None = None


def _check_pixels(
    folder: VocFolder,
    members: Mapping[str, str],
    count: int,
    remarks: Remarks,
    progress: Progress | None,
) -> list[Problem]:
    """Decode all images and masks, and count in ``remarks`` what they hold.

    ``count`` is the number of classes, 0 where they are not known.
    """
    problems: list[Problem] = []
    ids = list(members)
    done = 0
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for start in range(0, len(ids), _CHUNK):  # a pool would note all images at once
            chunk = ids[start : start + _CHUNK]
            pairs = pool.map(lambda name: _check_pair(folder, name, count), chunk)
            for name, pair in zip(chunk, pairs, strict=True):
                problems += pair.problems
                if pair.turned:
                    remarks.turned.append(name)
                if pair.counts is not None:
                    remarks.add_mask(members[name], name, pair.counts, pair.palette)
                done += 1
                if progress is not None:
                    progress("checking images", done, len(ids))
    return problems


def _check_pair(folder: VocFolder, name: str, count: int) -> _Pair:
    """Decode an image and its mask: can they be read, are they of one size, are labels in range."""
    found = _Pair()
    opened: dict[str, Image] = {}
    for kind, paths, decode in (
        ("image", folder.images(name), open_image),
        ("mask", folder.masks(name), open_mask),
    ):
        try:
            for path in paths[:1]:
                opened[kind] = decode(path)
        except DataError as error:
            found.problems.append(Problem(f"unreadable {kind}", name, str(error)))
    found.turned = any(STORED_SIZE in picture.info for picture in opened.values())
    image, mask = opened.get("image"), opened.get("mask")
    if mask is not None:
        found.counts, found.palette = count_labels(np.asarray(mask)), mask.getpalette()
        found.problems += _check_labels(name, found.counts, count)
    if image is not None and mask is not None and image.size != mask.size:
        (w, h), (mask_w, mask_h) = image.size, mask.size
        message = f"the image is {w}x{h}, its mask {mask_w}x{mask_h}"
        if mask.size == image.info.get(STORED_SIZE) or image.size == mask.info.get(STORED_SIZE):
            message += (
                "; they agree as they are stored, but viewers turn one by its EXIF orientation: "
                "remove that, or turn the other as well"
            )
        found.problems.append(Problem("size mismatch", name, message))
    return found


def _check_labels(name: str, pixels: np.ndarray, count: int) -> list[Problem]:
    wrong = [label for label in np.flatnonzero(pixels).tolist() if count <= label != VOID]
    if not (count and wrong):
        return []
    shown = ", ".join(map(str, wrong[:6])) + ", ..." * (len(wrong) > 6)
    message = f"labels {shown} in {int(pixels[wrong].sum())} pixels are not 0..{count - 1} or 255"
    return [Problem("label out of range", name, message)]
