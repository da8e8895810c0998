"""The training loop: epochs, validation, the best epoch kept, checkpoints between epochs."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import torch

from seglock.models import build_model, count_parameters, load_initial_weights, save_weights
from seglock.results.metrics import epoch_metrics
from seglock.training.average import Average
from seglock.training.batches import epoch_batches, open_source
from seglock.training.checkpoint import CheckpointFolder, Course, Snapshot, decode
from seglock.training.distributed import World, join
from seglock.training.epoch import Loop, not_finite, train_epoch, validate, with_new_statistics
from seglock.training.job import EpochRow, TrainJob, TrainResult
from seglock.training.losses import Losses
from seglock.training.optimizer import Optimizer
from seglock.training.progress import Display, say
from seglock.training.refusal import Refusal
from seglock.training.runtime import Runtime
from seglock.training.schedule import Schedule
from seglock.training.variance import require_variance

if TYPE_CHECKING:
    from seglock.tracking import Tracker

WEIGHTS_FILE = "model.safetensors"


def train(
    job: TrainJob,
    *,
    tracker: Tracker,
    progress: bool = True,
    on_epoch: Callable[[EpochRow], None] | None = None,
) -> TrainResult:
    """Train one network, or go on where a killed process left ``job.checkpoints``.

    A training is a function of its job: interrupted at any moment and started again, it ends with
    the same weights, bit for bit on the CPU with the same number of threads. Under ``torchrun``
    every process calls this; the first one writes and tracks. ``on_epoch`` gets each new epoch's
    row after its checkpoint, if there is one; what it raises ends the training.

    Raises TrainingError for a loss that is not finite, a recipe that has no step to take, and
    batch normalisation of single values or over several CPU processes; ModelError for weights that
    do not fit.
    """
    recipe = job.params.train
    require_variance(job.params, len(job.data.train))
    runtime = Runtime.of(recipe)
    cuda = [runtime.device] if runtime.device.type == "cuda" else []
    world = join(runtime.device, recipe)
    with torch.random.fork_rng(devices=cuda), runtime.fastest_convolutions():
        return _train(job, runtime, world, tracker, progress, on_epoch)


def _train(
    job: TrainJob,
    runtime: Runtime,
    world: World,
    tracker: Tracker,
    progress: bool,
    on_epoch: Callable[[EpochRow], None] | None,
) -> TrainResult:
    recipe, data = job.params.train, job.data
    steps = len(epoch_batches(len(data.train), recipe, 1))
    loop = prepare(job, runtime, world, steps)
    checkpoints = CheckpointFolder(job.checkpoints, say)
    course = _resume(loop, checkpoints, tracker) if job.resumable else Course(run_id=tracker.run_id)
    done = course.epoch
    train_source = open_source(data.train, runtime.device, recipe)
    val_source = open_source(data.val, runtime.device, recipe)
    shown = progress and world.first
    written = time.monotonic()
    with Display(job.lock, epochs=recipe.epochs, steps=steps, done=done, shown=shown) as display:
        for epoch in range(done + 1, recipe.epochs + 1):
            started = time.perf_counter()
            train_loss, lr = train_epoch(loop, train_source, len(data.train), epoch, display.step)
            val_loss, val_miou = validate(
                loop, loop.judged, val_source, len(data.val), data.num_classes
            )
            if not math.isfinite(val_loss):
                raise not_finite("validation loss", epoch, lr)
            row = EpochRow(
                epoch=epoch, lr=lr, train_loss=train_loss, val_loss=val_loss, val_miou=val_miou
            )
            kept = _take_in(row, course, loop)
            course.seconds += time.perf_counter() - started
            if world.first:
                # Before the checkpoint: a kill between the two repeats the epoch with the same
                # figures, and none is missing.
                tracker.log_metrics(epoch_metrics(row), step=epoch)
                if job.resumable and time.monotonic() - written >= recipe.checkpoint_seconds:
                    checkpoints.write(_snapshot(course, loop))
                    written = time.monotonic()
            display.epoch(row, kept=kept)
            if on_epoch:
                on_epoch(row)
    best = course.history[course.best_epoch - 1]
    val_loss, val_miou = best["val_loss"], best["val_miou"]
    if recipe.reestimate_batch_norm:  # whole training images; what is kept is judged anew
        loop.judged.load_state_dict(course.best)
        network = with_new_statistics(loop, loop.judged, train_source, len(data.train))
        course.best = network.state_dict()
        val_loss, val_miou = validate(loop, network, val_source, len(data.val), data.num_classes)
    weights = job.checkpoints / WEIGHTS_FILE
    if world.first:
        save_weights(weights, course.best, job.metadata)
    return TrainResult(
        weights=weights,
        history=course.history,
        best_epoch=course.best_epoch,
        val_loss=val_loss,
        val_miou=val_miou,
        seconds=course.seconds,
        device=str(runtime.device),
        parameters=count_parameters(loop.network),
        resumed_from=done or None,
    )


def _is_best(row: EpochRow, course: Course, select: str) -> bool:
    """Whether a new epoch's weights are the ones to keep; of equal epochs, the first is."""
    if not course.best_epoch or select == "last":
        return True
    best = course.history[course.best_epoch - 1]
    if select == "val_loss":
        return row["val_loss"] < best["val_loss"]
    return row["val_miou"] > best["val_miou"]


def _take_in(row: EpochRow, course: Course, loop: Loop) -> bool:
    """Note a new epoch, and its weights if they are the ones to keep; says whether they are."""
    kept = _is_best(row, course, loop.recipe.select)
    course.history.append(row)
    if kept:
        course.best_epoch = row["epoch"]
        course.best = {name: t.clone() for name, t in loop.judged.state_dict().items()}
    return kept


def _snapshot(course: Course, loop: Loop) -> Snapshot:
    return Snapshot(
        course,
        model=loop.network.state_dict(),
        optimizer=loop.optimizer.state(),
        average=loop.average.network.state_dict() if loop.average else {},
    )


def prepare(job: TrainJob, runtime: Runtime, world: World, steps: int) -> Loop:
    """Build what a job trains, at its start, for epochs of ``steps`` steps."""
    recipe = job.params.train
    schedule = Schedule.of(recipe, steps)
    torch.manual_seed(recipe.seed % 2**63)
    network = build_model(job.params.model, job.data.num_classes, aux=recipe.aux_loss_weight > 0)
    if job.weights is not None:
        fresh = load_initial_weights(network, job.weights)
        if fresh and world.first:
            say(f"fresh values for {', '.join(fresh)}: the initial weights have other classes")
    if job.fold is not None:
        job.fold(network)
    network = runtime.place(network)
    average = Average(network, recipe.average) if recipe.average is not None else None
    losses = world.parallel(Losses(network), runtime.device)
    return Loop(
        recipe=recipe,
        runtime=runtime,
        world=world,
        transform=job.transform,
        network=network,
        losses=losses,
        compiled=runtime.compiled(losses),
        optimizer=Optimizer(network, recipe),
        schedule=schedule,
        average=average,
        refusal=_refusal(job, runtime),
    )


def _refusal(job: TrainJob, runtime: Runtime) -> Refusal | None:
    if job.unauthorised is None:
        return None
    return Refusal.of(job.unauthorised, job.data.train.masks, job.data.num_classes, runtime.device)


def _resume(loop: Loop, checkpoints: CheckpointFolder, tracker: Tracker) -> Course:
    """Put the newest checkpoint into the loop, in every process; a fresh course without one."""
    world = loop.world
    content = checkpoints.read() if world.first else None
    content = world.share_bytes(content, loop.runtime.device)
    if content is None:
        return Course(run_id=tracker.run_id)
    snapshot = decode(content)
    course = snapshot.course
    loop.network.load_state_dict(snapshot.model)
    loop.optimizer.load(snapshot.optimizer)
    if loop.average:
        loop.average.network.load_state_dict(snapshot.average)
    if world.first:
        say(f"continues after epoch {course.epoch} of {loop.recipe.epochs}")
        if course.run_id != tracker.run_id:  # a run that has not seen the epochs before
            for row in course.history:
                tracker.log_metrics(epoch_metrics(row), step=row["epoch"])
    course.run_id = tracker.run_id
    return course
