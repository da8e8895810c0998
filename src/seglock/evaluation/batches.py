"""A split in batches on the device: uploaded once where it fits, else at every reading."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from seglock.evaluation.iou import Targets, check_labels

if TYPE_CHECKING:
    from seglock.data import Split
    from seglock.evaluation.predict import Predictor

RESIDENT_SHARE = 4
"""A split stays in a GPU's memory where it takes no more than this part of what is free."""
_BYTES = 3 + 8  # a pixel: its image, and its target as it is counted


@dataclass(frozen=True)
class Batch:
    """``rows`` of the split: (B, 3, H, W) uint8 images and their masks, on the device."""

    rows: slice
    images: Tensor
    targets: Targets

    @property
    def numbers(self) -> range:
        """Which images of the split these are."""
        return range(self.rows.start, self.rows.stop)


class Batches:
    """The split's batches, in order, as often as they are asked for.

    Raises EvaluationError, while reading, for a mask with a label that is no class.
    """

    def __init__(self, test: Split, predictor: Predictor, size: int, num_classes: int) -> None:
        self._test = test
        self._predictor = predictor
        self._size = size
        self._classes = num_classes
        self._resident = [*self._read()] if _fits(test.masks.size, predictor.device) else None

    def __len__(self) -> int:
        return -(-len(self._test) // self._size)

    def __iter__(self) -> Iterator[Batch]:
        return self._read() if self._resident is None else iter(self._resident)

    def _read(self) -> Iterator[Batch]:
        upload = self._predictor.upload
        for rows in slices(len(self._test), self._size):
            masks = self._test.masks[rows]
            check_labels(masks, self._classes)
            yield Batch(
                rows, upload(self._test.images[rows]), Targets(upload(masks), self._classes)
            )


def slices(length: int, size: int) -> Iterator[slice]:
    """The rows of each batch: ``size`` of them, and what is left at the end."""
    for start in range(0, length, size):
        yield slice(start, min(start + size, length))


def _fits(pixels: int, device: torch.device) -> bool:
    if device.type != "cuda":
        return False  # the memory map serves as well, and may be larger than memory
    free, _ = torch.cuda.mem_get_info(device)
    return pixels * _BYTES <= free // RESIDENT_SHARE
