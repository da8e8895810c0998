"""Stages ``data`` and ``prepare``, and the check of any dataset."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from seglock.stages.outputs import sole_writer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from seglock.config import Params
    from seglock.data import Findings, PreparedData
    from seglock.data.check import Progress


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
) -> Findings:
    """Find every problem of a dataset in the VOC layout, in any folder."""
    from seglock.data import check_dataset, class_notes

    found = check_dataset(path, splits=splits, progress=progress)
    return replace(found, notes=found.notes + class_notes(found.pixels, found.classes))
