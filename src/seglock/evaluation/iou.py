"""Confusion matrices on the device, intersection over union on the CPU."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from seglock.errors import EvaluationError
from seglock.evaluation.counting import Targets, check_labels


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

    >>> import torch
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
