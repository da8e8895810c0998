"""The training loop, its schedule, its checkpoints and its processes.

May touch: torch, the device, the checkpoint folder it is given, a ``Tracker``. May not: keys,
plans' insides, MLflow, params.yaml, the pipeline's folders. Nothing of a key reaches a checkpoint.
"""

from seglock.training.distributed import rank_of
from seglock.training.folding import fold, fold_only
from seglock.training.job import EpochRow, TrainJob, TrainResult, checkpoint_folder
from seglock.training.loop import train
from seglock.training.progress import say
from seglock.training.schedule import Schedule
from seglock.training.variance import require_variance

__all__ = [
    "EpochRow",
    "Schedule",
    "TrainJob",
    "TrainResult",
    "checkpoint_folder",
    "fold",
    "fold_only",
    "rank_of",
    "require_variance",
    "say",
    "train",
]
