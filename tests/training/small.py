"""A training small enough for a test: 16-pixel images that a narrow network can learn."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from seglock.config import Params, check_params
from seglock.data import PreparedData, Split
from seglock.keys import demonstration_key
from seglock.models import read_weights
from seglock.training import TrainJob
from seglock.transforms import compose

SIDE = 16
CLASSES = ("background", "reddish", "bluish")


def small_split(name: str, count: int, seed: int) -> Split:
    """Noise whose halves are, each on its own, left as they are, reddish or bluish."""
    rng = np.random.default_rng(seed)
    images = rng.integers(90, 160, (count, 3, SIDE, SIDE), dtype=np.uint8)
    masks = np.zeros((count, SIDE, SIDE), np.uint8)
    for image, mask in zip(images, masks, strict=True):
        for half in (slice(0, SIDE // 2), slice(SIDE // 2, SIDE)):
            kind = rng.integers(0, 3)
            mask[:, half] = kind
            if kind:
                image[0 if kind == 1 else 2, :, half] += 80
    masks[:, 0] = 255  # void
    return Split(name, tuple(f"{name}-{i}" for i in range(count)), images, masks)


def small_data(train: int = 12) -> PreparedData:
    """Twelve training images, five to validate with."""
    splits = [small_split("train", train, 0), small_split("val", 5, 1), small_split("test", 2, 2)]
    return PreparedData(Path("nowhere"), "small", CLASSES, SIDE, "0" * 64, *splits)


def small_params(model: dict[str, Any] | None = None, **train: Any) -> Params:
    """Three epochs of three steps, unless told otherwise."""
    recipe = {"epochs": 3, "batch_size": 4, "lr": 0.1, "weight_decay": 0.001, "device": "cpu"}
    return check_params(
        {
            "data": {"image_side": SIDE},
            "locks": {"baseline": {"steps": []}, "np-4": {"steps": ["np-4"]}},
            "model": {"width": 8, **(model or {})},
            "train": recipe | train,
        }
    )


def small_job(folder: Path, params: Params | None = None, **changes: Any) -> TrainJob:
    """A job of lock np-4 under the demonstration key, with its checkpoints in ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    parts: dict[str, Any] = {
        "lock": "np-4",
        "params": params or small_params(),
        "data": small_data(),
        "transform": compose(["np-4"], key=demonstration_key()),
        "weights": None,
        "checkpoints": folder,
    }
    return TrainJob(**parts | changes)


def digest_of(weights: Path) -> str:
    """One digest of all tensors of a weights file: equal means equal bit for bit."""
    digest = hashlib.sha256()
    for name, tensor in sorted(read_weights(weights).items()):
        digest.update(name.encode() + tensor.contiguous().numpy().tobytes())
    return digest.hexdigest()


def largest_difference(one: Path, other: Path) -> float:
    """The largest absolute difference between two weights files, for any tensor."""
    left, right = read_weights(one), read_weights(other)
    assert left.keys() == right.keys()
    return max(float((left[name].double() - right[name].double()).abs().max()) for name in left)
