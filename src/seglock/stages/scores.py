"""Predicted masks against true ones: mean IoU, each class, and which is taken for which."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from seglock import files
from seglock.data.layout import CLASSES_FILE, read_classes
from seglock.data.pictures import open_mask
from seglock.data.splits import select_classes
from seglock.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray


class MaskScores:
    """Counts pixels, mask by mask.

    folder: true masks, NAME.png, of class indices at the photos' size, 255 void. Where a
    ``classes.txt`` lies beside the folder, as in the VOC layout, its names say which index is which
    class of the model; otherwise indices are the model's.

    Raises DataError where the names lack a class of the model.
    """

    def __init__(self, folder: Path, names: tuple[str, ...]) -> None:
        self._folder, self._names = folder, names
        self._table = np.arange(256, dtype=np.uint8)
        if (folder.parent / CLASSES_FILE).is_file():
            kept, table = select_classes(read_classes(folder.parent), names)
            if kept != names:
                raise DataError(
                    "true masks must be of the model's classes, in its order",
                    got=", ".join(kept),
                    fix=f"the model has {', '.join(names)}",
                )
            self._table = np.frombuffer(table, np.uint8)
        self._matrix = np.zeros((len(names), len(names)), np.int64)
        self._images = 0

    def add(self, name: str, classes: NDArray[np.uint8]) -> None:
        """Count a predicted mask (H, W). Raises DataError where the true one is missing, of
        another size, or has other classes."""
        self.add_mask(self._folder / f"{name}.png", classes)

    def add_mask(self, path: Path, classes: NDArray[np.uint8]) -> None:
        """The same where the true mask is ``path``."""
        import torch

        from seglock.errors import EvaluationError
        from seglock.evaluation import confusion_matrix

        target = self._table[np.asarray(open_mask(path))]
        try:
            made, true = (torch.from_numpy(mask.copy())[None] for mask in (classes, target))
            counts = confusion_matrix(made, true, len(self._names))
        except EvaluationError as error:
            raise DataError(f"{path}: {error.rule}", got=error.got, fix=error.fix) from None
        self._matrix += counts.numpy()
        self._images += 1

    @property
    def mean_iou(self) -> float:
        """Over all that was added; nan where no class occurs."""
        from seglock.evaluation import mean_iou

        return mean_iou(self._matrix)

    def write(self, out: Path) -> list[str]:
        """Write scores.json, confusion.csv (rows: true class, pixels) and confusion.png; returns
        what to say of them."""
        from seglock.evaluation import iou_per_class
        from seglock.report.confusion import draw_confusion

        if not self._images:
            return ["no photo was scored"]
        each = {
            name: None if np.isnan(iou) else float(iou)
            for name, iou in zip(self._names, iou_per_class(self._matrix), strict=True)
        }
        mean = self.mean_iou
        score = None if np.isnan(mean) else mean
        files.write_json(
            out / "scores.json", {"images": self._images, "mean_iou": score, "iou": each}
        )
        files.write_text(out / "confusion.csv", _as_csv(self._matrix, self._names))
        draw_confusion({"": self._matrix}, self._names, out / "confusion.png")
        told = [f"mean IoU {mean:.4f} of {self._images} photos"]
        return told + [f"  {name} {iou:.4f}" for name, iou in each.items() if iou is not None]


def _as_csv(matrix: NDArray[np.int64], names: tuple[str, ...]) -> str:
    out = io.StringIO()
    rows = csv.writer(out, lineterminator="\n")
    rows.writerow(["true class", *names])
    rows.writerows([name, *row] for name, row in zip(names, matrix.tolist(), strict=True))
    return out.getvalue()
