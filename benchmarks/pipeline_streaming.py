"""What it costs to read batches ahead from mapped files. For ``benchmarks.pipeline``."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from benchmarks.clock import timed
from benchmarks.pipeline_bounded import drop_cached, peak, status
from benchmarks.results import Row
from seglock.config import Params, check_params
from seglock.data import PreparedData, Split
from seglock.data.arrays import row_writer, write_header
from seglock.keys import demonstration_key
from seglock.models import pick_device
from seglock.tracking import MemoryTracker
from seglock.training import TrainJob, train
from seglock.training.batches import StreamedSource
from seglock.transforms import compose

CLASSES = ("background", "one", "two")
LOCK = ["np-4"]


@dataclass(frozen=True)
class Load:
    """One network's training on ``images`` images; ``reading`` images are read without any."""

    images: int
    side: int
    batch: int
    network: str
    width: int
    reading: int
    repeats: int

    @property
    def params(self) -> Params:
        return check_params(
            {
                "data": {"image_side": self.side},
                "locks": {"baseline": {"steps": []}, "np-4": {"steps": LOCK}},
                "model": {"name": self.network, "width": self.width},
                "train": {"epochs": 2, "batch_size": self.batch, "lr": 0.01, "compile": False},
            }
        )


def make_split(folder: Path, name: str, count: int, side: int) -> Split:
    """``count`` images of noise and their masks in files, mapped as a prepared split is."""
    rng = np.random.default_rng(0)
    shapes = {"images": (count, 3, side, side), "masks": (count, side, side)}
    for kind, shape in shapes.items():
        with row_writer(folder / f"{name}_{kind}.npy", shape) as write:
            for _ in range(count):
                high = 256 if kind == "images" else len(CLASSES)
                write(rng.integers(0, high, shape[1:], dtype=np.uint8))
    images, masks = (np.load(folder / f"{name}_{kind}.npy", mmap_mode="r") for kind in shapes)
    return Split(name, tuple(map(str, range(count))), images, masks)


def streaming_rows(load: Load, scratch: Path) -> list[Row]:
    """Training and bare reading, streamed beside resident; then a set larger than memory."""
    scratch.mkdir(parents=True, exist_ok=True)
    splits = (
        make_split(scratch, "train", load.images, load.side),
        make_split(scratch, "val", load.batch, load.side),
        make_split(scratch, "test", 1, load.side),
    )
    data = PreparedData(scratch, "noise", CLASSES, load.side, "0" * 64, *splits)
    rates = dict.fromkeys((True, False), 0.0)
    for _ in range(load.repeats):  # taking turns: a machine's speed changes
        for on_device, best in rates.items():
            rates[on_device] = max(best, _training(load, data, scratch, on_device))
    resident, streamed = rates[True], rates[False]
    shown = f"{load.network}, {load.side} px"
    rows = [
        Row(f"training, split in memory ({shown})", resident, "images/s"),
        Row(
            f"training, split read ahead ({shown})", streamed, "images/s",
            "the split in memory", streamed / resident,
        ),
    ]  # fmt: skip
    return [*rows, *_reading(load, scratch / "reading"), _larger_than_memory(load, scratch)]


def _training(load: Load, data: PreparedData, folder: Path, on_device: bool) -> float:
    params = load.params
    recipe = params.train.model_copy(update={"data_on_device": on_device})
    params = params.model_copy(update={"train": recipe})
    transform = compose(LOCK, demonstration_key())
    job = TrainJob("np-4", params, data, transform, None, folder, resumable=False)
    seconds = train(job, tracker=MemoryTracker(), progress=False).seconds
    return recipe.epochs * len(data.train) / seconds


def _reading(load: Load, folder: Path) -> list[Row]:
    folder.mkdir()
    split = make_split(folder, "train", load.reading, load.side)
    device = pick_device("auto")
    order = np.random.default_rng(1).permutation(len(split))
    numbers = [order[i : i + load.batch] for i in range(0, len(order), load.batch)]
    source = StreamedSource(split, device)

    def read() -> None:
        for images, _ in source.batches(numbers):
            last = images
        last.sum().item()  # the device has it

    def in_order() -> None:
        for path in folder.glob("*.npy"):
            with path.open("rb", buffering=0) as file:
                while file.read(1 << 22):
                    pass

    cold, plain = 0.0, 0.0
    for _ in range(load.repeats):
        drop_cached(folder)
        cold = max(cold, len(split) / timed(read))
        drop_cached(folder)
        plain = max(plain, len(split) / timed(in_order))
    warm = max(len(split) / timed(read) for _ in range(load.repeats))
    return [
        Row(
            f"reading batches of {load.batch}, not in the page cache", cold, "images/s",
            limit="reading the files in order", share_of_limit=cold / plain,
        ),
        Row(f"reading batches of {load.batch}, in the page cache", warm, "images/s"),
    ]  # fmt: skip


def _larger_than_memory(load: Load, scratch: Path) -> Row:
    """Batches of a split of twice this machine's memory: files with holes, which take no disk."""
    side = load.side
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    count = 2 * memory // (3 * side * side)
    shapes = {"images": (count, 3, side, side), "masks": (count, side, side)}
    for kind, shape in shapes.items():
        with (scratch / f"huge_{kind}.npy").open("wb") as file:
            write_header(file, shape, np.dtype(np.uint8))
            file.truncate(file.tell() + math.prod(shape))
    images, masks = (np.load(scratch / f"huge_{kind}.npy", mmap_mode="r") for kind in shapes)
    source = StreamedSource(Split("huge", (), images, masks), torch.device("cpu"))
    rng = np.random.default_rng(2)
    numbers = [rng.integers(0, count, load.batch) for _ in range(64)]
    start = status("RssAnon")
    with peak("RssAnon") as seen:
        for _ in source.batches(numbers):
            pass
    size = sum(array.nbytes for array in (images, masks))
    return Row(
        f"private memory for batches of a split of {size / memory:.1f} times the machine's memory",
        (seen[0] - start) / 1e6,
        "MB",
        f"the split ({size / 1e9:.0f} GB)",
        size / max(1, seen[0] - start),
    )
