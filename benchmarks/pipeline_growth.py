"""Does the work grow in step with the images and the wrong keys? For ``benchmarks.pipeline``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.clock import timed
from benchmarks.results import Row
from seglock.config import Params, check_params
from seglock.data import PreparedData, get_dataset, prepare_dataset, write_encrypted
from seglock.evaluation import judge_lock
from seglock.keys import demonstration_key
from seglock.models import build_model
from seglock.tracking import MemoryTracker
from seglock.training import TrainJob, train
from seglock.transforms import compose, incorrect_transforms

LOCK = ["np-4"]
STAGES = ("prepare", "encrypt", "train", "evaluate")


@dataclass(frozen=True)
class Sizes:
    """``unit`` images are 1x; each multiple is measured ``repeats`` times, and the best kept."""

    unit: int
    multiples: tuple[int, ...]
    keys: int
    repeats: int
    side: int = 64
    width: int = 16

    def params(self, multiple: int) -> Params:
        """The synthetic set ``multiple`` times: 6 of 10 images to train, 2 each to judge by."""
        each = self.unit * multiple // 10
        return check_params(
            {
                "data": {
                    "image_side": self.side,
                    "val_split": 2 * each,
                    "synthetic": {"train": 8 * each, "test": 2 * each, "side": self.side},
                },
                "locks": {"baseline": {"steps": []}, "np-4": {"steps": LOCK}},
                "model": {"width": self.width},
                "train": {"epochs": 1, "batch_size": 16, "lr": 0.05},
                "evaluate": {"batch_size": 16},
            }
        )


def growth_rows(sizes: Sizes, scratch: Path) -> list[Row]:
    """Seconds of each stage's own work at every multiple, and of evaluation at more keys."""
    _run(sizes, 1, scratch / "first")  # plans, threads and files are warm from here on
    seconds = {n: _run(sizes, n, scratch / f"{n}x") for n in sizes.multiples}
    rows = [
        _row(f"{stage}, {n}x the images", seconds[n][stage], n, seconds[1][stage], "1x")
        for stage in STAGES
        for n in sizes.multiples[1:]
    ]
    data = PreparedData.open(scratch / "1x" / "prepared")
    by_keys = {
        n: _best(sizes.repeats, lambda n=n: _evaluate(sizes, data, n * sizes.keys))
        for n in sizes.multiples
    }
    base = by_keys[1]
    return rows + [
        _row(f"evaluate, {n}x the wrong keys", by_keys[n], n, base, f"{sizes.keys} keys")
        for n in sizes.multiples[1:]
    ]


def _row(name: str, seconds: float, multiple: int, base: float, what: str) -> Row:
    return Row(name, seconds, "s", f"{multiple} times {what}", multiple * base / seconds)


def _run(sizes: Sizes, multiple: int, folder: Path) -> dict[str, float]:
    params = sizes.params(multiple)
    get_dataset(params.data, folder / "raw")

    def prepare() -> None:
        prepare_dataset(params.data, folder / "raw", folder / "prepared")

    seconds = {"prepare": _best(sizes.repeats, prepare)}
    data = PreparedData.open(folder / "prepared")
    transform = compose(LOCK, demonstration_key())

    def encrypt() -> None:
        opened = PreparedData.open(folder / "prepared")  # with its digests, as the stage does
        write_encrypted(folder / "test.enc", opened.test.images, transform.encrypt, bytes(32))

    seconds["encrypt"] = _best(sizes.repeats, encrypt)
    seconds["train"] = min(_epoch(params, data, folder) for _ in range(sizes.repeats))
    seconds["evaluate"] = _best(sizes.repeats, lambda: _evaluate(sizes, data, sizes.keys))
    return seconds


def _epoch(params: Params, data: PreparedData, folder: Path) -> float:
    job = TrainJob(
        "np-4", params, data, compose(LOCK, demonstration_key()), None, folder, resumable=False
    )
    return train(job, tracker=MemoryTracker(), progress=False).seconds


def _evaluate(sizes: Sizes, data: PreparedData, keys: int) -> None:
    key = demonstration_key()
    params = sizes.params(1)
    judge_lock(
        build_model(params.model, data.num_classes, aux=False),
        data,
        params,
        test=data.test,
        unlabelled=data.val.images,
        transform=compose(LOCK, key),
        wrong=incorrect_transforms(LOCK, key, keys),
    )


def _best(repeats: int, work: Callable[[], object]) -> float:
    return min(timed(work) for _ in range(repeats))
