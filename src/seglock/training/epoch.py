"""One epoch of training and one pass over the validation split.

Augment, encrypt, normalise, forward, backward: in that order, in batches, on the device. The loss
of a step is the sum of the cross-entropy over its labelled pixels divided by their number, over
all parts and all processes: how a batch is divided changes nothing but rounding (and the
statistics of batch normalisation, which see one part at a time).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from seglock.data import VOID
from seglock.data.augment import augment, draw_augmentation
from seglock.errors import TrainingError
from seglock.evaluation import classes_of, confusion_matrix, mean_iou, reestimate_batch_norm
from seglock.models import permuted
from seglock.training.batches import epoch_batches, share_of
from seglock.training.losses import pixel_loss
from seglock.training.refusal import batch_norm_still

if TYPE_CHECKING:
    import numpy as np

    from seglock.config import TrainParams
    from seglock.training.average import Average
    from seglock.training.batches import Pair, Source
    from seglock.training.distributed import World
    from seglock.training.optimizer import Optimizer
    from seglock.training.refusal import Refusal
    from seglock.training.runtime import Runtime
    from seglock.training.schedule import Schedule
    from seglock.transforms import Transform


@dataclass(frozen=True)
class Loop:
    """What the steps of one training have in common.

    ``network`` is the plain module, ``losses`` the same one with its losses, distributed, and
    ``compiled`` that, compiled; ``average`` is the average of its weights, if there is one, and
    ``refusal`` the second term of the loss.
    """

    recipe: TrainParams
    runtime: Runtime
    world: World
    transform: Transform
    network: nn.Module
    losses: nn.Module
    compiled: nn.Module
    optimizer: Optimizer
    schedule: Schedule
    average: Average | None = None
    refusal: Refusal | None = None

    @property
    def judged(self) -> nn.Module:
        """The network that is validated and kept: the averaged one where there is one."""
        return self.average.network if self.average else self.network


def seed_epoch(seed: int, epoch: int, rank: int) -> None:
    """Make torch's generators (dropout) a function of (seed, epoch, rank) alone."""
    import numpy as np

    state = np.random.SeedSequence([seed % 2**64, epoch, rank]).generate_state(1, np.uint64)
    torch.manual_seed(int(state[0] >> np.uint64(1)))


def train_epoch(
    loop: Loop, source: Source, count: int, epoch: int, on_step: Callable[[], None]
) -> tuple[float, float]:
    """Train on every batch of epoch ``epoch`` (from 1); returns (mean loss, last learning rate).

    Raises TrainingError when the loss of a step is not finite.
    """
    recipe, world = loop.recipe, loop.world
    seed_epoch(recipe.seed, epoch, world.rank)
    loop.losses.train()
    whole = epoch_batches(count, recipe, epoch)
    shares = [_own_share(batch, world) for batch in whole]
    sums = torch.zeros(len(whole), 2, dtype=torch.float64, device=loop.runtime.device)
    first = (epoch - 1) * len(whole)
    for step, batch in enumerate(source.batches([numbers for numbers, _ in shares])):
        images, masks = _augmented(loop, batch, len(whole[step]), epoch, step)
        labelled = shares[step][1]
        if not labelled:
            masks = torch.full_like(masks, VOID)
        # Nothing is compiled for the size of a last, partial batch.
        whole_batch = len(whole[step]) == recipe.batch_size
        # What is compiled knows no hook of a permuted feature map.
        runner = loop.compiled if whole_batch and not loop.transform.features else loop.losses
        if loop.refusal and (weight := loop.refusal.weight(first + step, len(whole))):
            answers = loop.refusal.targets(masks) if labelled else masks
            _add_refusal(loop, loop.refusal, runner, images, answers, first + step, weight)
        sums[step] = _gradients(loop, runner, images, masks, loop.transform)
        loop.optimizer.step(loop.schedule.lr(first + step))
        if loop.average:
            loop.average.update(first + step)
        on_step()
    # One transfer an epoch: looking at each step's loss would make the device wait.
    losses, pixels = world.sum_(sums).unbind(1)
    wrong = (~losses.isfinite()).nonzero()
    if len(wrong):
        step = int(wrong[0])
        raise not_finite("training loss", epoch, loop.schedule.lr(first + step), step + 1)
    lr = loop.schedule.lr(first + len(whole) - 1)
    return float(losses.sum() / pixels.sum().clamp(min=1)), lr


def _own_share(batch: np.ndarray, world: World) -> tuple[np.ndarray, bool]:
    own = batch[share_of(len(batch), world.rank, world.size)]
    # The last batch may have fewer images than there are processes: those left over compute one
    # image without labels, since all must take part in the exchange of gradients.
    return (own, True) if len(own) else (batch[:1], False)


def _augmented(loop: Loop, batch: Pair, whole: int, epoch: int, step: int) -> Pair:
    recipe = loop.recipe
    draws = draw_augmentation(
        whole,
        seed=recipe.seed,
        epoch=epoch,
        step=step,
        crop_scale=recipe.crop_scale,
        crop_ratio=recipe.crop_ratio,
        flip=recipe.flip,
        color_jitter=recipe.color_jitter,
    )
    own = draws[share_of(whole, loop.world.rank, loop.world.size)]
    return augment(*batch, own if len(own) else draws[:1])


def _add_refusal(
    loop: Loop,
    refusal: Refusal,
    runner: nn.Module,
    images: Tensor,
    answers: Tensor,
    step: int,
    weight: float,
) -> None:
    """Add up the gradients of the second term of optimizer step ``step``."""
    draw = refusal.unauthorised.draw(step)
    with batch_norm_still(loop.network, by_batch=draw.batch_statistics):
        _gradients(
            loop, runner, images, answers, draw.transform,
            weight=weight, most=refusal.most, more_to_come=True,
        )  # fmt: skip


def _gradients(
    loop: Loop,
    runner: nn.Module,
    images: Tensor,
    masks: Tensor,
    transform: Transform,
    *,
    weight: float = 1.0,
    most: float | None = None,
    more_to_come: bool = False,
) -> Tensor:
    """Add up the gradients of this process's share; returns its (loss sum, labelled pixels).

    most: of a loss to unlearn, what a pixel counts at most. more_to_come: this step has another
    term, with which processes exchange their gradients.
    """
    recipe, world = loop.recipe, loop.world
    own = (masks != VOID).sum()
    pixels = world.sum_(own.clone()).clamp(min=1)
    # DistributedDataParallel averages gradients; times the size makes that a sum.
    scale = weight * world.size / pixels
    total = torch.zeros((), device=images.device)
    count = min(recipe.accumulate, len(images))
    parts = zip(images.tensor_split(count), masks.tensor_split(count), strict=True)
    for number, (some_images, some_masks) in enumerate(parts, 1):
        with _exchange(loop, last=number == count and not more_to_come):
            inputs = loop.runtime.to_input(transform, some_images)
            with loop.runtime.autocast(), permuted(loop.network, transform.features):
                losses = runner(inputs, some_masks, most)
            loss = losses["out"]
            total += loss.detach()
            if "aux" in losses:
                loss = loss + recipe.aux_loss_weight * losses["aux"]
            (loss * scale).backward()
    return torch.stack([total.double(), own.double()])


def _exchange(loop: Loop, *, last: bool) -> contextlib.AbstractContextManager[object]:
    """Processes exchange their gradients once a step, with the last part of its last term."""
    if loop.world.size == 1 or last:
        return contextlib.nullcontext()
    return loop.losses.no_sync()  # type: ignore[operator,no-any-return]


@torch.no_grad()
def validate(
    loop: Loop, network: nn.Module, source: Source, count: int, num_classes: int
) -> tuple[float, float]:
    """(cross-entropy per labelled pixel, mean IoU) of a network over a split's encrypted images."""
    import numpy as np

    world, device = loop.world, loop.runtime.device
    own = np.arange(count)[share_of(count, world.rank, world.size)]
    size = max(1, loop.recipe.batch_size // loop.recipe.accumulate)
    network.eval()
    sums = torch.zeros(2, dtype=torch.float64, device=device)
    matrix = torch.zeros(num_classes, num_classes, dtype=torch.int64, device=device)
    for images, masks in source.batches([own[i : i + size] for i in range(0, len(own), size)]):
        with loop.runtime.autocast(), permuted(network, loop.transform.features):
            logits = network(loop.runtime.to_input(loop.transform, images))["out"]
        sums[0] += pixel_loss(logits, masks)
        sums[1] += (masks != VOID).sum()
        matrix += confusion_matrix(classes_of(logits), masks, num_classes)
    loss, pixels = world.sum_(sums).tolist()
    if not pixels:
        raise TrainingError(
            "the validation split must have labelled pixels",
            got=f"{count} images without one",
            fix="choose another data.val_split or data.classes",
        )
    return loss / pixels, mean_iou(world.sum_(matrix))


def with_new_statistics(loop: Loop, network: nn.Module, source: Source, count: int) -> nn.Module:
    """A copy of a network whose batch-norm statistics are those of a split's encrypted images.

    In batches of nearly equal size, since each counts the same; every process reads them all.
    """
    import numpy as np

    size = max(1, loop.recipe.batch_size // loop.recipe.accumulate)
    numbers = np.array_split(np.arange(count), -(-count // size))

    def inputs() -> Iterator[Tensor]:
        for images, _ in source.batches(numbers):
            yield loop.runtime.to_input(loop.transform, images)

    with loop.runtime.autocast():
        return reestimate_batch_norm(network, inputs(), loop.transform.features)


def not_finite(what: str, epoch: int, lr: float, step: int | None = None) -> TrainingError:
    """The error for a loss that has left the finite numbers, with what usually helps."""
    place = f"epoch {epoch}" + (f", step {step}" if step else "")
    return TrainingError(
        f"the {what} must stay finite",
        got=f"NaN or infinity in {place}, at learning rate {lr:.3g}",
        fix="lower train.lr, add train.warmup_epochs or set train.clip_grad_norm: 1.0; "
        "with bf16 try train.precision: float32",
    )
