"""Reading result files: data/evaluations/LOCK and data/models/LOCK, checked as they are read."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from seglock import files
from seglock.config import BASELINE
from seglock.errors import ReportError
from seglock.foreign import read_plain
from seglock.report.schema import Evaluation, PictureScore, Training, checked
from seglock.report.style import VOID

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

HISTORY_FIELDS = ("epoch", "lr", "train_loss", "val_loss", "val_miou")
_MOST_PICTURES = 1 << 30
_DAMAGE = (OSError, MemoryError, ValueError, KeyError, EOFError, TypeError, AttributeError)


class Epoch(NamedTuple):
    """One line of history.csv; losses may be nan where nothing was validated."""

    epoch: int
    lr: float
    train_loss: float
    val_loss: float
    val_miou: float


@dataclass(frozen=True)
class Pictures:
    """Some test images and what the model made of them.

    Shapes: images (P, 3, S, S) uint8, never encrypted; target and predictions (P, S, S) uint8
    class indices, 255 void. A prediction the lock has not (the baseline's ``correct``) is None.
    """

    ids: tuple[str, ...]
    images: NDArray[np.uint8]
    target: NDArray[np.uint8]
    plain: NDArray[np.uint8]
    correct: NDArray[np.uint8] | None
    incorrect: NDArray[np.uint8] | None

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True)
class LockResult:
    """All result files of one lock."""

    evaluation: Evaluation
    training: Training
    history: tuple[Epoch, ...]
    pictures: Pictures

    @property
    def lock(self) -> str:
        """The lock's name."""
        return self.evaluation.lock

    def picture_score(self, index: int) -> PictureScore:
        """The per-image scores of one picture; empty where none were written."""
        listed = self.evaluation.scores.pictures
        return listed[index] if index < len(listed) else PictureScore(id=self.pictures.ids[index])


def read_results(root: Path, locks: Mapping[str, tuple[str, ...]]) -> list[LockResult]:
    """The results of ``locks`` (name -> steps), in that order.

    Raises ReportError, naming the stage to run, when a file is missing, damaged, or made for
    other steps or other data than the rest.
    """
    results = [_read_lock(root, name, steps) for name, steps in locks.items()]
    if BASELINE in locks:
        first = next(result for result in results if result.lock == BASELINE)
    else:
        first = results[0]
    for result in results:
        _check_same_data(result.evaluation, first.evaluation)
    return results


def _read_lock(root: Path, lock: str, steps: tuple[str, ...]) -> LockResult:
    folder = root / "data" / "evaluations" / lock
    fix = f"run dvc repro evaluate@{lock}"
    path = folder / "evaluation.json"
    evaluation = Evaluation.check(
        files.read_json(path, error=ReportError, fix=fix), where=str(path), fix=fix
    )
    if evaluation.lock != lock or evaluation.steps != steps:
        raise ReportError(
            f"{path} must be about lock {lock} with steps [{', '.join(steps)}]",
            got=f"lock {evaluation.lock} with steps [{', '.join(evaluation.steps)}]",
            fix=fix,
        )
    model = root / "data" / "models" / lock
    train_fix = f"run dvc repro train@{lock}"
    path = model / "training.json"
    training = checked(
        Training,
        files.read_json(path, error=ReportError, fix=train_fix),
        where=str(path),
        fix=train_fix,
    )
    return LockResult(
        evaluation=evaluation,
        training=training,
        history=read_history(model / "history.csv", train_fix),
        pictures=_read_pictures(folder / "pictures.npz", len(evaluation.classes), fix),
    )


def _check_same_data(evaluation: Evaluation, first: Evaluation) -> None:
    for field in ("dataset", "dataset_digest", "classes", "image_side"):
        if getattr(evaluation, field) != getattr(first, field):
            raise ReportError(
                "all locks of one report must be evaluated on the same data",
                got=f"{field} of {evaluation.lock} differs from that of {first.lock}",
                fix="run dvc repro",
            )


def read_history(path: Path, fix: str) -> tuple[Epoch, ...]:
    """The lines of a history.csv; raises ReportError for a file that is missing or damaged."""
    try:
        text = io.StringIO(read_plain(path).decode(), newline="")
        epochs = tuple(_epoch(row) for row in csv.DictReader(text))
        if not epochs:
            raise ValueError("no epoch")
    except FileNotFoundError as error:
        raise ReportError(f"{path} must exist", got="no such file", fix=fix) from error
    except (OSError, UnicodeDecodeError, csv.Error, KeyError, TypeError, ValueError) as error:
        wanted = ", ".join(HISTORY_FIELDS)
        raise ReportError(
            f"{path} must have a line of {wanted} for each epoch", got=str(error), fix=fix
        ) from error
    return epochs


def _epoch(row: Mapping[str, str | None]) -> Epoch:
    numbers = {}
    for name in HISTORY_FIELDS:
        text = row[name]
        if text is None:
            raise ValueError(f"a line without {name}")
        numbers[name] = float(text) if text else math.nan
    return Epoch(int(numbers.pop("epoch")), **numbers)


def _read_pictures(path: Path, classes: int, fix: str) -> Pictures:
    import zipfile
    import zlib

    import numpy as np

    try:
        whole = io.BytesIO(read_plain(path, most=_MOST_PICTURES))
        with np.load(whole, allow_pickle=False) as stored:
            if sum(part.file_size for part in stored.zip.infolist()) > _MOST_PICTURES:
                raise ValueError(f"more than {_MOST_PICTURES} bytes of pictures")
            arrays: dict[str, Any] = {name: stored[name] for name in stored.files}
    except FileNotFoundError as error:
        raise ReportError(f"{path} must exist", got="no such file", fix=fix) from error
    except (*_DAMAGE, zipfile.BadZipFile, zlib.error) as error:
        raise ReportError(f"{path} must be readable", got=str(error), fix=fix) from error
    try:
        return _pictures(arrays, classes)
    except (KeyError, ValueError) as error:
        raise ReportError(f"{path} must be whole", got=str(error), fix=fix) from error


def _pictures(arrays: Mapping[str, Any], classes: int) -> Pictures:
    images = arrays["images"]
    if images.ndim != 4 or images.shape[1] != 3 or images.dtype != "uint8":
        raise ValueError(f"images of shape {images.shape} and type {images.dtype}")
    count, _, height, width = images.shape
    masks: dict[str, Any] = {"target": arrays["target"], "plain": arrays["plain"]}
    for name in ("correct", "incorrect"):
        given = arrays.get(name)
        # The baseline has neither; an empty array says the same as none.
        masks[name] = None if given is None or (given.size == 0 and count) else given
    for name, mask in masks.items():
        if mask is not None and mask.shape != (count, height, width):
            raise ValueError(f"{name} of shape {mask.shape} beside images of {images.shape}")
        if mask is not None and (mask[mask != VOID] >= classes).any():
            raise ValueError(f"{name} has a class that is not one of {classes}")
    ids = tuple(str(item) for item in arrays["ids"])
    if len(ids) != count:
        raise ValueError(f"{len(ids)} ids for {count} images")
    return Pictures(ids=ids, images=images, **masks)
