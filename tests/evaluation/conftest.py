from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from seglock.data import Split

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
