"""Confusion matrices on the device, intersection over union on the CPU."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from seglock.data import VOID
from seglock.errors import EvaluationError


class Targets:
    """The masks of a batch, to be counted against any number of predictions.

    Nothing here waits for the device: shapes are fixed, void pixels have bins of their own, and
    CUDA adds by atomics, where ``bincount`` would ask it for the largest value first.

    masks: (B, H, W), each a class or 255 for void, as ``check_labels`` finds; not looked at again.

    >>> masks = torch.tensor([[[0, 1], [1, 255]]], dtype=torch.uint8)
    >>> Targets(masks, num_classes=2).matrices(torch.zeros_like(masks)).tolist()
    [[[1, 0], [2, 0]]]
    """

    def __init__(self, masks: Tensor, num_classes: int) -> None:
        self._classes = num_classes
        self._bins = (num_classes + 1) * num_classes  # a last row for void
        self._images = len(masks)
        kind = torch.int32 if masks.device.type == "cpu" else torch.int64  # as each counts fastest
        rows = torch.where(masks == VOID, num_classes, masks).to(kind)
        images = torch.arange(self._images, dtype=kind, device=masks.device)
        self._first = rows * num_classes + images.view(-1, 1, 1) * self._bins

    def matrices(self, prediction: Tensor) -> Tensor:
        """One confusion matrix an image: (B, H, W), 0 to C - 1 -> (B, C, C) int64, rows target."""
        index = (self._first + prediction).view(-1)
        size = self._images * self._bins
        count = _count_by_bincount if index.device.type == "cpu" else _count_by_adding
        counts = count(index, size).view(self._images, self._classes + 1, self._classes)
        return counts[:, :-1].long()


def _count_by_bincount(index: Tensor, size: int) -> Tensor:
    return torch.bincount(index, minlength=size)


def _count_by_adding(index: Tensor, size: int) -> Tensor:
    # int32: an image has fewer pixels, and its additions are native; integers in any order agree.
    ones = torch.ones(1, dtype=torch.int32, device=index.device).expand(len(index))
    return torch.zeros(size, dtype=torch.int32, device=index.device).scatter_add_(
        0, index.long(), ones
    )


def check_labels(masks: Tensor | np.ndarray, num_classes: int) -> None:
    """Raise EvaluationError unless every pixel is a class, 0 to C - 1, or void (255)."""
    wrong = ((masks < 0) | (masks >= num_classes)) & (masks != VOID)
    if wrong.any():
        raise EvaluationError(
            f"target must be a class from 0 to {num_classes - 1} or 255",
            got=int(masks[wrong].max()),
            fix="run `seglock data check`, then prepare the data again",
        )


def confusion_matrices(prediction: Tensor, target: Tensor, num_classes: int) -> Tensor:
    """One confusion matrix for each image of a batch.

    Shape: prediction and target (B, H, W), any integer type -> (B, C, C) int64 on the same
    device; rows are the target, columns the prediction, entries pixels. Pixels whose target is
    255 (void) are left out; predictions must be 0 to C - 1.

    Raises EvaluationError when the shapes differ or a target is neither a class nor void.
    """
    if prediction.shape != target.shape or target.ndim != 3:
        raise EvaluationError(
            "prediction and target must have one shape (B, H, W)",
            got=f"{tuple(prediction.shape)} and {tuple(target.shape)}",
        )
    check_labels(target, num_classes)
    return Targets(target, num_classes).matrices(prediction)


def confusion_matrix(prediction: Tensor, target: Tensor, num_classes: int) -> Tensor:
    """The confusion matrix of a batch: (B, H, W) twice -> (C, C) int64, rows target.

    Void (255) and errors as in ``confusion_matrices``.

    >>> prediction = torch.tensor([[[0, 1], [1, 1]]])
    >>> confusion_matrix(prediction, torch.tensor([[[0, 0], [1, 255]]]), num_classes=2).tolist()
    [[1, 1], [0, 1]]
    """
    return confusion_matrices(prediction, target, num_classes).sum(dim=0)


def iou_per_class(matrix: Tensor | np.ndarray) -> np.ndarray:
    """Intersection over union of each class, 0 to 1; nan where it does not occur in the target.

    Shape: (C, C) or (B, C, C) counts, rows target -> (C,) or (B, C) float64.
    "TP / (TP + FP + FN)", the paper's section 2.2.

    >>> iou_per_class(np.array([[3, 1, 0], [2, 4, 0], [0, 0, 0]])).round(3).tolist()
    [0.5, 0.571, nan]
    """
    counts = matrix.cpu().numpy() if isinstance(matrix, Tensor) else np.asarray(matrix)
    counts = counts.astype(np.float64)
    hit = np.diagonal(counts, axis1=-2, axis2=-1)
    in_target, predicted = counts.sum(-1), counts.sum(-2)
    union = in_target + predicted - hit
    iou: np.ndarray = np.divide(hit, union, out=np.full_like(hit, np.nan), where=in_target > 0)
    return iou


def mean_iou(matrix: Tensor | np.ndarray) -> float:
    """Mean of ``iou_per_class`` over the classes that occur in the target; nan if none does.

    >>> round(mean_iou(np.array([[3, 1, 0], [2, 4, 0], [0, 0, 0]])), 3)
    0.536
    """
    iou = iou_per_class(matrix)
    occurring = iou[~np.isnan(iou)]
    return float(occurring.mean()) if occurring.size else float("nan")
