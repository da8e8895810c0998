"""Stages ``data`` and ``prepare``, and the check of any dataset."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from seglock.stages.outputs import sole_writer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from seglock.config import Params
    from seglock.data import PreparedData, Problem
    from seglock.data.check import Progress


@dataclass(frozen=True)
class CheckResult:
    """What ``check`` looked at and found."""

    folder: Path
    classes: int
    images: dict[str, int]
    problems: list[Problem]
    notes: list[str]


def get(params: Params, root: Path, *, progress: Progress | None = None) -> Path:
    """Write the dataset of ``params`` to data/raw and return that folder."""
    from seglock.data import get_dataset

    target = root / "data" / "raw"
    downloads = root / ".seglock" / "downloads"
    with sole_writer(root, "raw"):
        get_dataset(params.data, target, progress=progress, downloads=downloads)
    return target


def prepare(params: Params, root: Path, *, progress: Progress | None = None) -> PreparedData:
    """Turn data/raw into the arrays of data/prepared."""
    from seglock.data import prepare_dataset

    data = root / "data"
    with sole_writer(root, "prepared"):
        return prepare_dataset(params.data, data / "raw", data / "prepared", progress=progress)


def check(
    path: Path, *, splits: Sequence[str] | None = None, progress: Progress | None = None
) -> CheckResult:
    """Find every problem of a dataset in the VOC layout, in any folder."""
    from seglock.data import class_notes, default_splits, examine_dataset, find_voc_folder
    from seglock.errors import DataError

    folder = find_voc_folder(path)
    names = list(splits or default_splits(folder))
    found = examine_dataset(folder.root, splits=names, progress=progress)
    images = {}
    for name in names:
        try:
            images[name] = len(folder.ids(name))
        except DataError:  # already among the problems
            images[name] = 0
    known = not any(p.kind == "classes" for p in found.problems)
    classes = folder.classes if known else ()
    notes = found.notes + class_notes(found.pixels, classes)
    return CheckResult(folder.root, len(classes), images, found.problems, notes)
