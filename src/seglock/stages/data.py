"""Stages ``data`` and ``prepare``, and the check of any dataset."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from seglock.errors import SeglockError
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
    """Turn data/raw into the arrays of data/prepared.

    Raises TrainingError, before anything is written, for too few images to train on.
    """
    from seglock.config import require_batch
    from seglock.data import prepare_dataset

    data = root / "data"
    enough = partial(require_batch, dict(params.train))
    with sole_writer(root, "prepared"):
        return prepare_dataset(
            params.data, data / "raw", data / "prepared", progress=progress, enough=enough
        )


def check(
    path: Path,
    *,
    splits: Sequence[str] | None = None,
    progress: Progress | None = None,
    params: Params | None = None,
) -> Findings:
    """Find every problem of a dataset in the VOC layout, in any folder.

    params: those of the project that it may be for, whose recipe needs a batch of images.
    """
    from seglock.data import check_dataset, class_notes

    found = check_dataset(path, splits=splits, progress=progress)
    notes = found.notes + class_notes(found.pixels, found.classes)
    if splits is None and not found.problems:
        notes += _too_few(found, params)
    return replace(found, notes=notes)


def _too_few(found: Findings, params: Params | None) -> list[str]:
    """A note where the images do not suffice: for a batch of the project's recipe, or, without a
    project, for what `seglock init` makes."""
    from seglock.config import require_batch
    from seglock.data import train_count
    from seglock.stages.own_data import require_enough

    try:
        if params is None:
            require_enough(found)
        elif (images := train_count(params.data, found.images)) is not None:
            require_batch(dict(params.train), images)
    except SeglockError as error:
        return [str(error)]
    return []
