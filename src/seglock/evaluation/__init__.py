"""How well a network segments, for the key's owner and for everyone else.

May touch: a network, uint8 arrays, transforms already built. May not: secrets, files, MLflow.
Confusion matrix -> IoU; correct, plain and incorrect access; the floors no figure is below.
"""

from seglock.evaluation.access import judge_lock
from seglock.evaluation.batch_norm import reestimate_batch_norm
from seglock.evaluation.floors import floors
from seglock.evaluation.iou import confusion_matrices, confusion_matrix, iou_per_class, mean_iou
from seglock.evaluation.predict import classes_of
from seglock.evaluation.tally import AccessResult

__all__ = [
    "AccessResult",
    "classes_of",
    "confusion_matrices",
    "confusion_matrix",
    "floors",
    "iou_per_class",
    "judge_lock",
    "mean_iou",
    "reestimate_batch_norm",
]
