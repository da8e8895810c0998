"""What is wrong with a dataset: every problem at once, not the first one."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from seglock.data.layout import (
    IMAGES,
    MASKS,
    VOID,
    VocFolder,
    find_voc_folder,
    open_image,
    open_mask,
)
from seglock.data.splits import SPLITS
from seglock.errors import DataError

_CHUNK = 1024

Progress = Callable[[str, int, int | None], None]
"""Called with what is being done, how much of it is done, and how much there is in all."""


@dataclass(frozen=True)
class Problem:
    """One problem: its kind, the split and id (or file) it is at, and what is wrong there."""

    kind: str
    where: str
    message: str

    def __str__(self) -> str:
        return f"{self.where}: {self.message}"


def check_dataset(
    root: Path,
    *,
    splits: Sequence[str] | None = None,
    classes: Sequence[str] | None = None,
    pixels: bool = True,
    progress: Progress | None = None,
) -> list[Problem]:
    """Find every problem of a dataset in the VOC layout.

    ``splits`` are names of lists; by default those of train, val and test that exist, or else all.
    ``classes`` are the names in index order; by default the dataset's own. With ``pixels`` false
    only lists and file names are looked at. Returns an empty list for a sound dataset; raises
    DataError when ``root`` is no dataset at all.

    >>> import tempfile
    >>> from seglock.config import SyntheticParams
    >>> from seglock.data import write_synthetic
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_synthetic(SyntheticParams(train=2, test=1, side=16), Path(folder, "raw"))
    ...     Path(folder, "raw", "JPEGImages", "synthetic_000001.png").unlink()
    ...     print(*check_dataset(Path(folder, "raw")))
    synthetic_000001: no such image in JPEGImages/
    """
    folder = find_voc_folder(root)
    problems: list[Problem] = []
    count = _class_count(folder, classes, problems)
    ids, listed = _check_lists(folder, splits or default_splits(folder))
    problems += listed
    problems += _check_files(folder, ids)
    if pixels:
        problems += _check_pixels(folder, ids, count, progress)
    return problems


def default_splits(folder: VocFolder) -> list[str]:
    """The lists that are looked at by default: train, val and test, or all if none exists."""
    lists = folder.lists
    return [name for name in SPLITS if name in lists] or lists


def summarise(problems: Sequence[Problem], *, limit: int = 8) -> str:
    """One line a problem, grouped by kind, at most ``limit`` of a kind and a count of the rest."""
    lines = []
    for kind, count in Counter(problem.kind for problem in problems).items():
        shown = [problem for problem in problems if problem.kind == kind][:limit]
        lines.append(f"{kind} ({count}):")
        lines += [f"  {problem}" for problem in shown]
        if count > limit:
            lines.append(f"  ... and {count - limit} more")
    return "\n".join(lines)


def require_sound(problems: Sequence[Problem], where: Path) -> None:
    """Raise one DataError that lists all problems, if there are any."""
    if problems:
        count = f"{len(problems)} problem{'s' * (len(problems) > 1)}"
        raise DataError(f"{where} must be a sound dataset, got {count}:\n{summarise(problems)}")


def _class_count(
    folder: VocFolder, classes: Sequence[str] | None, problems: list[Problem]
) -> int | None:
    if classes is not None:
        return len(classes)
    try:
        return len(folder.classes)
    except DataError as error:
        problems.append(Problem("classes", "classes.txt", str(error)))
        return None


def _check_lists(folder: VocFolder, splits: Sequence[str]) -> tuple[list[str], list[Problem]]:
    problems: list[Problem] = []
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
        if not names:
            problems.append(Problem("empty split", where, "names no images"))
        for name, times in Counter(names).items():
            if "/" in name or "\\" in name or name in (".", "..") or any(map(str.isspace, name)):
                problems.append(Problem("bad id", where, f"an id must name a file, got {name!r}"))
                continue
            if times > 1:
                problems.append(Problem("duplicate id", where, f"{name} is named {times} times"))
            if first.setdefault(name, split) != split:
                message = f"{name} is also in {first[name]}"
                problems.append(Problem("id in two splits", where, message))
    return list(first), problems


def _check_files(folder: VocFolder, ids: Iterable[str]) -> list[Problem]:
    problems = []
    for name in ids:
        for kind, place, files in (
            ("image", IMAGES, folder.images(name)),
            ("mask", MASKS, folder.masks(name)),
        ):
            if not files:
                problems.append(Problem(f"missing {kind}", name, f"no such {kind} in {place}/"))
            elif len(files) > 1:
                found = ", ".join(file.name for file in files)
                problems.append(Problem(f"two {kind}s", name, f"{found} in {place}/"))
    return problems


def _check_pixels(
    folder: VocFolder, ids: Sequence[str], count: int | None, progress: Progress | None
) -> list[Problem]:
    problems: list[Problem] = []

    def check(name: str) -> list[Problem]:
        return check_pair(name, folder.images(name)[:1], folder.masks(name)[:1], count)

    done = 0
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for start in range(0, len(ids), _CHUNK):  # a pool would note all images at once
            for found in pool.map(check, ids[start : start + _CHUNK]):
                problems += found
                done += 1
                if progress is not None:
                    progress("checking images", done, len(ids))
    return problems


def check_pair(
    name: str, images: Sequence[Path], masks: Sequence[Path], count: int | None
) -> list[Problem]:
    """Decode an image and its mask: can they be read, are they of one size, are labels in range."""
    problems = []
    sizes = []
    for path in images:
        try:
            sizes.append(open_image(path).size)
        except DataError as error:
            problems.append(Problem("unreadable image", name, str(error)))
    for path in masks:
        try:
            mask = open_mask(path)
        except DataError as error:
            problems.append(Problem("unreadable mask", name, str(error)))
            continue
        sizes.append(mask.size)
        problems += _check_labels(name, np.asarray(mask), count)
    if len(sizes) == 2 and sizes[0] != sizes[1]:
        (w, h), (mask_w, mask_h) = sizes
        message = f"the image is {w}x{h}, its mask {mask_w}x{mask_h}"
        problems.append(Problem("size mismatch", name, message))
    return problems


def _check_labels(name: str, mask: np.ndarray, count: int | None) -> list[Problem]:
    if count is None:
        return []
    pixels = np.bincount(mask.ravel(), minlength=256)
    wrong = [label for label in np.flatnonzero(pixels).tolist() if count <= label != VOID]
    if not wrong:
        return []
    shown = ", ".join(map(str, wrong[:6])) + ", ..." * (len(wrong) > 6)
    message = f"labels {shown} in {int(pixels[wrong].sum())} pixels are not 0..{count - 1} or 255"
    return [Problem("label out of range", name, message)]
