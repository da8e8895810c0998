"""A set several times larger than the memory it may take, from images to figures.

    python -m benchmarks.pipeline_bounded FOLDER --images 4000 --limit 256

The kernel holds the limit: ``RLIMIT_DATA``, the bytes of private memory (heap and anonymous maps,
touched or not) beyond what this process has after a tiny run of the same work. Files that are
mapped for reading do not count: the system drops their pages when it needs them. The network is
one convolution, so that reading, augmenting and encrypting are what is measured. The raw images
are one file under many names; the arrays are real. Prints JSON, for ``benchmarks.pipeline``.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import resource
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import Tensor, nn

from seglock.config import Params, check_params
from seglock.data import PreparedData, get_dataset, prepare_dataset, write_encrypted
from seglock.data.encrypted import open_encrypted
from seglock.evaluation import judge_lock
from seglock.keys import demonstration_key
from seglock.training.batches import open_source
from seglock.training.distributed import World
from seglock.training.epoch import Loop, train_epoch
from seglock.training.losses import Losses
from seglock.training.optimizer import Optimizer
from seglock.training.runtime import Runtime
from seglock.training.schedule import Schedule
from seglock.transforms import compose, incorrect_transforms

LOCK = ["np-4"]
BATCH = 8
SIDE = 256
MIB = 1 << 20
NONCE = bytes(32)


class OneConvolution(nn.Module):
    """The least that can be trained: what is left is the data's way to it."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.classifier = nn.Conv2d(3, classes, 1)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        return {"out": self.classifier(images)}


def many(folder: Path, images: int) -> Params:
    """A raw set of ``images`` names for one image; a quarter of them are test images."""
    test = images // 4
    made = {"train": 2, "test": 1, "side": SIDE}
    values = {
        "data": {"val_split": 2 * BATCH, "image_side": SIDE, "synthetic": made},
        "locks": {"baseline": {"steps": []}, "np-4": {"steps": LOCK}},
        "train": {"epochs": 1, "batch_size": BATCH, "lr": 0.01, "device": "cpu"},
        "evaluate": {"batch_size": BATCH},
    }
    params = check_params(values)
    get_dataset(params.data, folder)
    for place in ("JPEGImages", "SegmentationClass"):
        first = next((folder / place).iterdir())
        for index in range(images):
            (folder / place / f"n{index}{first.suffix}").hardlink_to(first)
    lists = folder / "ImageSets" / "Segmentation"
    for name, part in (("train", range(images - test)), ("val", range(images - test, images))):
        (lists / f"{name}.txt").write_text("".join(f"n{index}\n" for index in part))
    return params


def stages(folder: Path, images: int) -> Iterator[tuple[str, int, Callable[[], object]]]:
    """(name, bytes of arrays that it goes through, the work) of each stage, in order."""
    params = many(folder / "raw", images)
    pixels = SIDE * SIDE
    counts = {"test": images // 4}
    counts["train"] = images - counts["test"] - 2 * BATCH
    key = demonstration_key()
    transform = compose(LOCK, key)

    def opened() -> PreparedData:
        return PreparedData.open(folder / "prepared")

    def encrypt() -> None:
        write_encrypted(folder / "test.enc", opened().test.images, transform.encrypt, NONCE)

    def train() -> None:
        data, recipe = opened(), params.train
        network = OneConvolution(data.num_classes)
        losses, steps = Losses(network), len(data.train) // BATCH
        loop = Loop(
            recipe, Runtime.of(recipe), World(), transform, network, losses, losses,
            Optimizer(network, recipe), Schedule.of(recipe, steps),
        )  # fmt: skip
        source = open_source(data.train, loop.runtime.device, recipe)
        train_epoch(loop, source, len(data.train), 1, lambda: None)

    def evaluate() -> None:
        data = opened()
        judge_lock(
            OneConvolution(data.num_classes),
            data,
            params,
            test=data.test,
            unlabelled=data.val.images,
            transform=transform,
            wrong=incorrect_transforms(LOCK, key, 1),
            encrypted=open_encrypted(folder / "test.enc", nonce=NONCE),
        )

    prepare = lambda: prepare_dataset(params.data, folder / "raw", folder / "prepared")  # noqa: E731
    yield "prepare", images * 4 * pixels, prepare
    yield "encrypt", counts["test"] * 6 * pixels, encrypt
    yield "train", counts["train"] * 4 * pixels, train
    yield "evaluate", images * pixels + counts["test"] * 6 * pixels, evaluate


def status(name: str) -> int:
    """A size of this process in bytes, as /proc tells it: VmData or RssAnon."""
    found = re.search(rf"^{name}:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)
    assert found
    return int(found[1]) * 1024


@contextlib.contextmanager
def peak(name: str) -> Iterator[list[int]]:
    """The highest size seen during the block, looked at 100 times a second."""
    seen, over = [status(name)], threading.Event()

    def watch() -> None:
        while not over.wait(0.01):
            seen[0] = max(seen[0], status(name))

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    yield seen
    over.set()
    watcher.join()


def drop_cached(folder: Path) -> None:
    """Let the system forget the arrays' pages, so that they are read from the disk again."""
    for path in (*folder.rglob("*.npy"), *folder.glob("*.enc")):
        with path.open("rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def run(folder: Path, images: int, limit: int | None) -> list[dict[str, object]]:
    """Every stage under a limit of MiB beyond a tiny run of the same; its figures."""
    for _, _, work in stages(folder / "tiny", 8 * BATCH):
        work()
    before = status("VmData"), status("RssAnon")
    if limit is not None:
        allowed = before[0] + limit * MIB
        resource.setrlimit(resource.RLIMIT_DATA, (allowed, allowed))
    figures: list[dict[str, object]] = []
    for name, size, work in stages(folder / "large", images):
        drop_cached(folder)
        start = time.perf_counter()
        with peak("RssAnon") as seen:
            work()
        seconds = time.perf_counter() - start
        more = seen[0] - before[1]
        figures.append({"stage": name, "bytes": size, "private": more, "seconds": seconds})
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--images", type=int, required=True)
    parser.add_argument("--limit", type=int, help="MiB of private memory; the kernel holds it")
    given = parser.parse_args()
    torch.set_num_threads(min(2, torch.get_num_threads()))
    print(json.dumps(run(given.folder, given.images, given.limit)))


if __name__ == "__main__":
    main()
