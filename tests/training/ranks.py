"""What each process of the distributed test does; started by ``torchrun``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import torch

from seglock.config import RefuseParams
from seglock.errors import TrainingError
from seglock.keys import demonstration_key
from seglock.tracking import MemoryTracker
from seglock.training import EpochRow, TrainResult, rank_of, train
from seglock.transforms import Unauthorised, compose
from tests.training.small import small_data, small_job, small_params

# Eleven images in batches of five: the last batch is one image for two processes.
RECIPE: dict[str, Any] = {"epochs": 2, "batch_size": 5, "drop_last": False, "lr": 0.02}
CASES: dict[str, dict[str, Any]] = {
    "frozen": {"model": {"norm": "frozen"}},
    "group": {"model": {"norm": "group"}},
    "group in two parts": {"model": {"norm": "group"}, "accumulate": 2, "batch_size": 6},
    "group, averaged": {"model": {"norm": "group"}, "average": 0.9, "color_jitter": 0.4},
    "group, refusing in two parts": {
        "model": {"norm": "group"},
        "accumulate": 2,
        "batch_size": 6,
        "refuse": 0.5,
    },
    "group, streamed": {"model": {"norm": "group"}, "data_on_device": False},
}


def train_case(name: str, folder: Path, tracker: MemoryTracker, stop: int = 0) -> TrainResult:
    """Train one case; with ``stop``, end it after that epoch's checkpoint."""

    def on_epoch(row: EpochRow) -> None:
        if row["epoch"] == stop:
            raise InterruptedError

    recipe = RECIPE | CASES[name]
    weight = recipe.pop("refuse", None)
    params, lock = small_params(**recipe), compose(["np-4"], demonstration_key())
    refuse = weight and Unauthorised(lock, demonstration_key(), RefuseParams(weight=weight))
    job = small_job(folder, params, data=small_data(train=11), unauthorised=refuse)
    return train(job, tracker=tracker, progress=False, on_epoch=on_epoch)


def main(root: Path) -> None:
    """Every case, a resumed one, and the refusal of batch normalisation."""
    torch.set_num_threads(1)
    mine = root / f"rank-{rank_of()}"
    found: dict[str, Any] = {}
    for name in CASES:
        tracker = MemoryTracker()
        result = train_case(name, mine / name, tracker)
        found[name] = {"history": result.history, "tracked": len(tracker.metrics)}
    try:
        train_case("group", mine / "resumed", MemoryTracker(), stop=1)
    except InterruptedError:
        resumed = train_case("group", mine / "resumed", MemoryTracker())
        found["resumed"] = {"from": resumed.resumed_from, "history": resumed.history}
    for change in ({"model": {"norm": "batch"}}, {"batch_size": 1}):
        try:
            train(
                small_job(mine / "refused", small_params(**change)),
                tracker=MemoryTracker(),
                progress=False,
            )
        except TrainingError as error:
            found[next(iter(change))] = str(error)
    (root / f"rank-{rank_of()}.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
