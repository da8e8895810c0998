"""A tiny dataset in the VOC layout that a test builds and then breaks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from seglock.config import DataParams
from seglock.data.synthetic import voc_palette

CLASSES = ("background", "cat", "dog")


def machine_memory() -> int:
    """Bytes of memory and swap together: more than that, Linux maps for reading only."""
    text = Path("/proc/meminfo").read_text()
    sizes = dict(line.split(":") for line in text.splitlines())
    return sum(int(sizes[name].split()[0]) * 1024 for name in ("MemTotal", "SwapTotal"))


class Voc:
    """Write and break images, masks and lists of one folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for place in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
            (root / place).mkdir(parents=True)
        self.classes(CLASSES)

    def classes(self, names: Sequence[str]) -> None:
        (self.root / "classes.txt").write_text("\n".join(names) + "\n")

    def list(self, split: str, ids: Sequence[str]) -> None:
        (self.root / f"ImageSets/Segmentation/{split}.txt").write_text("\n".join(ids) + "\n")

    def image(self, name: str, size: tuple[int, int] = (20, 12), suffix: str = ".png") -> Path:
        rng = np.random.default_rng(list(name.encode()))
        path = self.root / "JPEGImages" / f"{name}{suffix}"
        Image.fromarray(rng.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)).save(path)
        return path

    def mask(self, name: str, labels: np.ndarray | None = None) -> Path:
        if labels is None:
            labels = np.full((12, 20), 255, dtype=np.uint8)
            labels[:, :6], labels[:, 6:12], labels[:, 12:18] = 0, 1, 2
        picture = Image.fromarray(labels).convert("P")
        picture.putpalette(list(voc_palette()))
        path = self.root / "SegmentationClass" / f"{name}.png"
        picture.save(path)
        return path

    def fill(self, splits: Mapping[str, Sequence[str]]) -> None:
        for split, ids in splits.items():
            self.list(split, ids)
            for name in ids:
                self.image(name)
                self.mask(name)


@pytest.fixture
def new_voc(tmp_path: Path) -> Callable[[str], Voc]:
    """Make an empty VOC folder of a given name."""
    return lambda name: Voc(tmp_path / name)


@pytest.fixture
def voc(new_voc: Callable[[str], Voc]) -> Voc:
    """Six images: four in train, two in val."""
    made = new_voc("voc")
    made.fill({"train": ["a1", "a2", "a3", "a4"], "val": ["b1", "b2"]})
    return made


@pytest.fixture
def params(voc: Voc) -> DataParams:
    """A configuration for that folder: one image held out, side 8."""
    return DataParams(dataset="tiny", source=str(voc.root), val_split=1, image_side=8)
