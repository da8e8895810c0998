"""A lock without training: its plan folded into a network's first convolution."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

from seglock.errors import ModelError
from seglock.models import (
    build_model,
    count_parameters,
    fold_stem,
    load_initial_weights,
    save_weights,
)
from seglock.training.batches import open_source
from seglock.training.distributed import join
from seglock.training.epoch import validate
from seglock.training.job import EpochRow, TrainResult
from seglock.training.loop import WEIGHTS_FILE, prepare
from seglock.training.runtime import Runtime

if TYPE_CHECKING:
    from torch import nn

    from seglock.training.job import TrainJob
    from seglock.transforms import Transform


def fold(network: nn.Module, lock: Transform, *, stem: str | None = None) -> None:
    """Fold a lock of SHF and NP steps into a network's first convolution, in seconds.

    Afterwards the network gives for ``lock.to_input(images)`` what it gave for plain ones,
    normalised alike: to rounding, borders included. Any torch module will do whose only
    convolution of three channels steps by blocks of the lock's side; where there are several,
    ``stem`` names one. The image must reach nothing else in the network, and that convolution
    nothing but the image, which cannot be seen here: compare the logits once.

    **Where the plain first convolution is public, the plan is read off at once, and who has two
    networks that were folded from one reads the plan of each from the other's.**

    Raises:
        TransformError: a step that cannot be folded (FFX).
        ModelError: no such convolution, another block side, or one that cannot be folded.

    Examples:
        >>> import torch
        >>> import seglock
        >>> from seglock.keys import demonstration_key
        >>> from seglock.transforms import identity
        >>> network = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3, stride=2, padding=1))
        >>> images = torch.randint(0, 256, (2, 3, 8, 8), dtype=torch.uint8)
        >>> plain = network(identity().to_input(images))
        >>> lock = seglock.compose(["np-2", "shf-2"], key=demonstration_key())
        >>> seglock.fold(network, lock)
        >>> torch.allclose(network(lock.to_input(images)), plain, atol=1e-5)
        True
    """
    fold_stem(network, lock.signed_permutation, lock.block_size, *lock.normalisation, stem=stem)


def fold_only(job: TrainJob) -> TrainResult:
    """What training a lock comes to whose key is folded in and that is not trained: its initial
    weights, folded and validated, as of one epoch.

    Raises ModelError for initial weights of another number of classes, and as `fold` does.
    """
    recipe, data = job.params.train, job.data
    if job.weights is not None:
        fresh = load_initial_weights(build_model(job.params.model, data.num_classes), job.weights)
        if fresh:
            raise ModelError(
                "a lock that is folded only needs the initial weights of a whole network",
                got=f"none for {', '.join(fresh)}",
                fix="set model.initial_weights: baseline, or write fold: stem",
            )
    runtime = Runtime.of(recipe)
    cuda = [runtime.device] if runtime.device.type == "cuda" else []
    with torch.random.fork_rng(devices=cuda):
        loop = prepare(job, runtime, join(runtime.device, recipe), 1)
    source = open_source(data.val, runtime.device, recipe)
    val_loss, val_miou = validate(loop, loop.network, source, len(data.val), data.num_classes)
    row = EpochRow(epoch=1, lr=0.0, train_loss=math.nan, val_loss=val_loss, val_miou=val_miou)
    weights = job.checkpoints / WEIGHTS_FILE
    if loop.world.first:
        save_weights(weights, loop.network, job.metadata)
    return TrainResult(
        weights=weights,
        history=[row],
        best_epoch=1,
        val_loss=val_loss,
        val_miou=val_miou,
        seconds=0.0,
        device=str(runtime.device),
        parameters=count_parameters(loop.network),
        resumed_from=None,
    )
