"""What is to be trained, and what came out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

if TYPE_CHECKING:
    from torch import nn

    from seglock.config import Params
    from seglock.data import PreparedData
    from seglock.transforms import Transform, Unauthorised


class EpochRow(TypedDict):
    """One epoch of the curve; ``epoch`` counts from 1, ``lr`` is that of its last step.

    Losses are cross-entropy per labelled pixel (nats), the validation's on encrypted images.
    """

    epoch: int
    lr: float
    train_loss: float
    val_loss: float
    val_miou: float


@dataclass(frozen=True)
class TrainJob:
    """One network to train.

    ``transform`` locks it (``transforms.identity()`` for the plain one), ``unauthorised``
    draws what it is taught to refuse, if anything; ``weights`` is the folder
    of initial weights (None: fresh ones), ``fold`` what is done to a network that has them,
    ``checkpoints`` a folder that only this process uses,
    ``metadata`` goes into the header of the weights file. One that is not ``resumable`` neither
    writes nor reads checkpoints: only its weights come to lie in the folder.
    """

    lock: str
    params: Params
    data: PreparedData
    transform: Transform
    weights: Path | None
    checkpoints: Path
    metadata: Mapping[str, str] = field(default_factory=dict)
    resumable: bool = True
    unauthorised: Unauthorised | None = None
    fold: Callable[[nn.Module], None] | None = None


@dataclass(frozen=True)
class TrainResult:
    """A finished training. ``weights`` is the kept epoch's safetensors file in ``checkpoints``.

    ``val_loss`` and ``val_miou`` are of that file; ``history`` has each epoch's, before batch norm
    was re-estimated.
    ``resumed_from`` is the epoch of the checkpoint that this process continued, or None.
    """

    weights: Path
    history: list[EpochRow]
    best_epoch: int
    val_loss: float
    val_miou: float
    seconds: float
    device: str
    parameters: int
    resumed_from: int | None


def checkpoint_folder(root: Path, lock: str, digest: str) -> Path:
    """Where the checkpoints of one training live, outside what DVC deletes before a re-run.

    >>> checkpoint_folder(Path("project"), "np-4", "0123abcd").as_posix()
    'project/.seglock/checkpoints/np-4-0123abcd'
    """
    return root / ".seglock" / "checkpoints" / f"{lock}-{digest}"
