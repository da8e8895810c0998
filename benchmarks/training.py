"""How fast a network is trained: images a second of the whole step, and where its time goes.

    python -m benchmarks.training [--quick] [--out FOLDER]

A step is what ``seglock train`` does: take a batch from the prepared arrays, augment, encrypt,
forward, backward, optimizer. Beside it, in alternating rounds of the same run: the loop people use
(``reference_training.py``: the torchvision segmentation reference recipe, a DataLoader's workers
over JPEG and PNG files, transforms on the CPU, default precision; it does not encrypt), and as the
limit a large matrix product in the step's precision. The best of the rounds counts. FLOPs are
counted by torch over one forward and backward pass, not assumed; convolutions only.

Aims on one H200, FCN-ResNet50 at 256 pixels, batch 256: 3 times the reference, 0.30 of the matrix
product, 0.40 if it can be had. Where a card has too little memory, our batch is divided into parts
and the reference's is halved; ``settings`` say so.

What limits, on two cores: forward and backward, 0.9 of a step for fcn_small and all of it for
FCN-ResNet50; augmenting and encrypting 32 images of 64 take 1.5 and 0.9 ms beside 25. What helped
(processor time of one thread): channels last, 1.26 times for fcn_small, nothing for FCN-ResNet50;
fused updates, FCN-ResNet50's SGD from 348 to 44 ms and AdamW from 405 to 67 ms.

On CUDA, by reading and not yet measured: the losses are compiled with the network, so that logits
at full size stay out of memory in float32 (a few per cent of traffic); the last, partial batch is
not compiled; a checkpoint holds the weights, the optimizer, the average and the best weights, 0.4
to 0.7 GB, which costs more than an epoch of a few hundred images: ``train.checkpoint_seconds``.
To try next where a batch of 32 leaves the device waiting for launches: CUDA graphs
(``mode="reduce-overhead"``); validation, which is not compiled.
"""

from __future__ import annotations

import argparse
import copy
import os
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmarks.clock import Clock, timed
from benchmarks.reference_training import AUX_WEIGHT, Files, ReferenceLoop, criterion
from benchmarks.results import RESULTS, Row, show_rows, write_rows
from seglock.config import BASELINE, Params, SyntheticParams, check_params
from seglock.data import VOID, PreparedData, prepare_dataset, write_synthetic
from seglock.data.augment import augment, draw_augmentation
from seglock.keys import demonstration_key
from seglock.models import build_model, pick_device
from seglock.training import TrainJob
from seglock.training.batches import Source, epoch_batches, open_source
from seglock.training.checkpoint import CheckpointFolder, Course, Snapshot
from seglock.training.distributed import World
from seglock.training.epoch import Loop, train_epoch
from seglock.training.loop import prepare
from seglock.training.losses import Losses
from seglock.training.runtime import Runtime
from seglock.transforms import compose

LOCK = "np-4"
CLASSES = 20
RECIPE = {"optimizer": "sgd", "lr": 0.01, "momentum": 0.9, "schedule": "constant", "average": 0.99}


@dataclass(frozen=True)
class Case:
    """A network, the size of its images and batches, and how often it is measured."""

    network: str
    side: int
    batch: int
    steps: int
    rounds: int

    @property
    def name(self) -> str:
        return f"{self.network}, {self.batch} images of {self.side}"

    @property
    def images(self) -> int:
        return (self.steps + 1) * self.batch


GPU = (Case("fcn_resnet50", 256, 256, 6, 3), Case("fcn_resnet50", 256, 32, 24, 3))
CPU = (Case("fcn_resnet50", 96, 8, 3, 2), Case("fcn_small", 64, 32, 20, 3))
QUICK = (Case("fcn_small", 32, 4, 2, 1),)


def case_params(case: Case, accumulate: int = 1) -> Params:
    """The recipe of a case: as long as it takes, so that the rate never ends."""
    synthetic = {"train": case.images + 1, "test": 1, "side": case.side, "classes": CLASSES}
    return check_params(
        {
            "data": {"image_side": case.side, "val_split": 1, "synthetic": synthetic},
            "locks": {BASELINE: {"steps": []}, LOCK: {"steps": [LOCK]}},
            "model": {"name": case.network},
            "train": RECIPE
            | {"epochs": 1000, "batch_size": case.batch, "accumulate": accumulate}
            | {"aux_loss_weight": AUX_WEIGHT},
        }
    )


def measure(case: Case, folder: Path, workers: int) -> tuple[list[Row], dict[str, Any]]:
    """The rows of one case, and the settings they were measured with."""
    params = case_params(case)
    data = prepared(case, folder)
    device = pick_device()
    runtime = Runtime.of(params.train)
    with runtime.fastest_convolutions():
        accumulate, ours, first = fitting_parts(case, data, folder)
        source = open_source(data.train, device, params.train)
        batch, reference = fitting_reference(
            case, Files(folder / "raw", case.side), workers, device
        )
        check_same_loss(ours, reference, source)
        mine, theirs = [], []
        for number in range(case.rounds):
            mine.append(timed(partial(epoch, ours, source, case, number + 2)))
            theirs.append(reference.seconds(case.steps))
        del reference
        parts = part_seconds(ours, source, case)
    rate = case.steps * case.batch / min(mine)
    flop = flop_per_image(ours.network, case.side)
    product, peak = matrix_product(runtime)
    rows = [
        Row(
            f"{case.name}: whole step",
            rate,
            "images/s",
            f"torchvision's recipe, {workers} workers, float32"
            + ("" if batch == case.batch else f", batch {batch}"),
            rate / (case.steps * batch / min(theirs)),
            f"{product}, {peak / 1e9:.0f} GFLOP/s",
            rate * flop / peak,
        )
    ]
    total = sum(parts.values())
    rows += [
        Row(f"{case.name}: {part}", 1000 * seconds, "ms", limit="the parts", share_of_limit=share)
        for part, seconds in parts.items()
        for share in [seconds / total]
    ]
    saved = timed(lambda: CheckpointFolder(folder, print).write(snapshot_of(ours)))
    rows.append(Row(f"{case.name}: writing a checkpoint", 1000 * saved, "ms"))
    if runtime.compile:
        rows.append(Row(f"{case.name}: first step, which compiles", first, "s"))
    about = {"accumulate": accumulate, "reference_batch": batch, "gflop_per_image": flop / 1e9}
    return rows, asdict(case) | about


def prepared(case: Case, folder: Path) -> PreparedData:
    """A case's images, written to ``folder`` as files and as arrays."""
    data = case_params(case).data
    synthetic = SyntheticParams(**data.synthetic.model_dump())
    write_synthetic(synthetic, folder / "raw", image_format="jpeg")
    return prepare_dataset(data, folder / "raw", folder / "prepared")


def fitting_parts(case: Case, data: PreparedData, folder: Path) -> tuple[int, Loop, float]:
    """Our loop after its first steps, in as few parts a batch as the memory allows."""
    accumulate = 1
    while True:
        params = case_params(case, accumulate)
        transform = compose([LOCK], key=demonstration_key())
        job = TrainJob(LOCK, params, data, transform, None, folder)
        loop = prepare(job, Runtime.of(params.train), World(), case.steps)
        source = open_source(data.train, loop.runtime.device, params.train)
        try:
            return accumulate, loop, timed(partial(epoch, loop, source, case, 1))
        except torch.OutOfMemoryError:
            if accumulate == case.batch:
                raise
            accumulate *= 2
        del loop


def fitting_reference(
    case: Case, files: Files, workers: int, device: torch.device
) -> tuple[int, ReferenceLoop]:
    """The reference after a step, with the largest half, quarter, ... of the batch that fits."""
    batch = case.batch
    while True:
        torch.manual_seed(0)
        network = build_model(case_params(case).model, CLASSES, aux=True)
        loop = ReferenceLoop(network, files, batch, workers, device)
        try:
            loop.seconds(1)
        except torch.OutOfMemoryError:
            if batch == 1:
                raise
            batch //= 2
        else:
            return batch, loop
        del loop, network


def epoch(loop: Loop, source: Source, case: Case, number: int) -> None:
    """``case.steps`` steps, as ``seglock train`` takes them."""
    train_epoch(loop, source, case.steps * case.batch, number, lambda: None)


def check_same_loss(ours: Loop, reference: ReferenceLoop, source: Source) -> None:
    """Both make the same loss of the same weights and inputs, in float32."""
    ((images, masks),) = source.batches([np.arange(2)])
    inputs = ours.runtime.to_input(ours.transform, images).float()
    network = reference.network.eval()
    with torch.no_grad():
        sums = Losses(network)(inputs, masks)
        theirs = criterion(network(inputs), masks.long())
    mine = sums["out"] + (AUX_WEIGHT * sums["aux"] if "aux" in sums else 0)
    torch.testing.assert_close(mine / (masks != VOID).sum(), theirs, rtol=1e-4, atol=1e-5)
    network.train()


def part_seconds(loop: Loop, source: Source, case: Case) -> dict[str, float]:
    """How long each part of a step takes; of a batch in parts, the first one counts for all."""
    recipe, runtime = loop.recipe, loop.runtime
    count = case.batch // recipe.accumulate
    loop.losses.train()
    clock = Clock()
    batches = source.batches(epoch_batches(case.steps * case.batch, recipe, 1))
    for step, (images, masks) in enumerate(batches):
        clock.done("load")
        draws = draw_augmentation(case.batch, seed=0, epoch=1, step=step)
        images, masks = augment(images, masks, draws)
        clock.done("augment")
        inputs = runtime.to_input(loop.transform, images[:count])
        clock.done("encrypt")
        with runtime.autocast():
            losses = loop.compiled(inputs, masks[:count])
        clock.done("forward and loss")
        (sum(losses.values()) / masks[:count].numel()).backward()
        clock.done("backward")
        loop.optimizer.step(recipe.lr)
        clock.done("optimizer")
        loop.average.update(step)
        clock.done("average of weights")
    for part in ("encrypt", "forward and loss", "backward"):
        clock.best[part] *= recipe.accumulate
    return clock.best


def snapshot_of(loop: Loop) -> Snapshot:
    """What a checkpoint holds of a loop, with other weights kept than the last ones."""
    best = {name: tensor.clone() for name, tensor in loop.judged.state_dict().items()}
    course = Course(best=best, best_epoch=1)
    average = loop.average.network.state_dict() if loop.average else {}
    return Snapshot(course, loop.network.state_dict(), loop.optimizer.state(), average)


def flop_per_image(network: nn.Module, side: int) -> float:
    """Floating-point operations of a forward and backward pass, counted without computing."""
    from torch.utils.flop_counter import FlopCounterMode

    twin = copy.deepcopy(network).to("meta").train()
    with FlopCounterMode(display=False) as counter:
        outputs = twin(torch.empty(2, 3, side, side, device="meta"))
        sum(logits.sum() for logits in outputs.values()).backward()
    return float(counter.get_total_flops()) / 2


def matrix_product(runtime: Runtime) -> tuple[str, float]:
    """FLOP/s of a square matrix product in the precision that the step computes in."""
    dtype = torch.bfloat16 if runtime.bf16 else torch.float32
    size = 8192 if runtime.device.type == "cuda" else 2048
    one, other = (torch.randn(size, size, dtype=dtype, device=runtime.device) for _ in "ab")
    best = min(timed(lambda: torch.mm(one, other)) for _ in range(20))
    return f"{str(dtype).removeprefix('torch.')} matrix product", 2 * size**3 / best


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="a tiny case, in seconds")
    parser.add_argument("--out", type=Path, default=RESULTS)
    given = parser.parse_args(arguments)
    cases = QUICK if given.quick else GPU if torch.cuda.is_available() else CPU
    workers = 0 if given.quick else min(16, os.cpu_count() or 1)
    rows, settings = [], []
    for case in cases:
        with tempfile.TemporaryDirectory() as folder:
            found, about = measure(case, Path(folder), workers)
        show_rows(case.name, found)
        rows += found
        settings.append(about)  # written at once: a later case may be stopped
        write_rows("training", rows, settings={"lock": LOCK, "cases": settings}, folder=given.out)
    print("aims on one H200 at 256 pixels, batch 256: 3 times the recipe, 0.30 of the product")


if __name__ == "__main__":
    main()
