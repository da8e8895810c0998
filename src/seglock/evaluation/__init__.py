"""How well a network segments, for the key's owner and for everyone else.

May touch: a network, uint8 arrays, transforms already built. May not: secrets, files, MLflow.
Confusion matrix -> IoU; correct, plain and incorrect access; the floors no figure is below.
"""

from seglock.evaluation.access import evaluate_lock, judge_lock
from seglock.evaluation.batch_norm import reestimate_batch_norm
from seglock.evaluation.floors import Floors, floors
from seglock.evaluation.iou import confusion_matrices, confusion_matrix, iou_per_class, mean_iou
from seglock.evaluation.predict import classes_of
from seglock.evaluation.result import AccessResult, KeyScores, PictureScore, Score

__all__ = [
    "AccessResult",
    "Floors",
    "KeyScores",
    "PictureScore",
    "Score",
    "classes_of",
    "confusion_matrices",
    "confusion_matrix",
    "evaluate_lock",
    "floors",
    "iou_per_class",
    "judge_lock",
    "mean_iou",
    "reestimate_batch_norm",
]
