from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch import nn

from seglock.config import EvaluateParams, LockParams, Params, TrainParams
from seglock.data import PreparedData, Split
from seglock.evaluation import AccessResult, judge_lock

SIDE = 16
CLASSES = ("background", "red", "green", "blue")
MakeSplit = Callable[..., Split]


@pytest.fixture
def make_split() -> MakeSplit:
    """Random images whose masks hold some void pixels and never the last class."""

    def make(count: int, seed: int = 0, name: str = "test") -> Split:
        rng = np.random.default_rng(seed)
        images = rng.integers(0, 256, (count, 3, SIDE, SIDE), dtype=np.uint8)
        masks = rng.choice(np.array([0, 1, 2, 255], np.uint8), (count, SIDE, SIDE))
        return Split(name, tuple(f"{name}-{i}" for i in range(count)), images, masks)

    return make


def judged(
    model: nn.Module, test: Split, *, device: str, batch_size: int, bf16: bool | None, **given: Any
) -> AccessResult:
    """What `judge_lock` has of a network whose training masks are those of the test split."""
    side = test.images.shape[-1]
    data = PreparedData(Path(), "random", CLASSES, side, "", test, test, test)
    params = Params(
        locks={"baseline": LockParams(steps=[])},
        train=TrainParams(
            device=device, precision="auto" if bf16 is None else "bf16" if bf16 else "float32"
        ),
        evaluate=EvaluateParams(batch_size=batch_size),
    )
    return judge_lock(model, data, params, test=test, **given)
