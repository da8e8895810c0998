"""Which images make a batch, and how they get to the device."""

from __future__ import annotations

import collections
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from seglock.config.rules import require_batch
from seglock.data.arrays import read_ahead

if TYPE_CHECKING:
    from seglock.config import TrainParams
    from seglock.data import Split

Pair = tuple[Tensor, Tensor]
_AHEAD = 2
_CHUNK = 64
_FREE_SHARE = 0.5


def epoch_batches(count: int, recipe: TrainParams, epoch: int) -> list[np.ndarray]:
    """The image numbers of each global batch of an epoch, a function of (seed, epoch) alone.

    Returns int64 arrays of ``recipe.batch_size`` numbers; the last may be shorter unless
    ``recipe.drop_last``. Raises TrainingError if there would be none.
    """
    require_batch(dict(recipe), count)
    size = recipe.batch_size
    steps = count // size if recipe.drop_last else -(-count // size)
    order = np.random.default_rng([recipe.seed % 2**64, epoch]).permutation(count)
    return [order[step * size : (step + 1) * size] for step in range(steps)]


def share_of(count: int, rank: int, size: int) -> slice:
    """The part of a batch of ``count`` that one of ``size`` processes works on.

    >>> [share_of(7, rank, 3) for rank in range(3)]
    [slice(0, 2, None), slice(2, 4, None), slice(4, 7, None)]
    """
    return slice(count * rank // size, count * (rank + 1) // size)


class ResidentSource:
    """The whole split in device memory."""

    def __init__(self, split: Split, device: torch.device) -> None:
        self._images = _load(split.images, device)
        self._masks = _load(split.masks, device)
        self._device = device

    def batches(self, numbers: Sequence[np.ndarray]) -> Iterator[Pair]:
        """Images (B, 3, S, S) and masks (B, S, S) for each list of numbers, uint8 on the device."""
        for chosen in numbers:
            index = torch.from_numpy(chosen).to(self._device)
            yield self._images.index_select(0, index), self._masks.index_select(0, index)


def _load(array: np.ndarray, device: torch.device) -> Tensor:
    """A memory map in device memory; of the host's, a few images at a time."""
    loaded = torch.empty(array.shape, dtype=torch.uint8, device=device)
    for start in range(0, len(array), _CHUNK):
        part = slice(start, start + _CHUNK)
        loaded[part].copy_(torch.from_numpy(np.array(array[part])))
    return loaded


class StreamedSource:
    """Batches read ahead from the memory-mapped arrays by a thread, while others compute.

    Memory holds ``_AHEAD`` batches and the one in use, however many images the split has.
    """

    def __init__(self, split: Split, device: torch.device) -> None:
        self._split = split
        self._device = device

    def batches(self, numbers: Sequence[np.ndarray]) -> Iterator[Pair]:
        """The same as of a split in device memory."""
        waiting: collections.deque[Future[Pair]] = collections.deque()
        with ThreadPoolExecutor(1, thread_name_prefix="seglock-loader") as reader:
            for chosen in numbers:
                waiting.append(reader.submit(self._read, chosen))
                if len(waiting) > _AHEAD:
                    yield self._send(waiting.popleft().result())
            while waiting:
                yield self._send(waiting.popleft().result())

    def _read(self, chosen: np.ndarray) -> Pair:
        read_ahead(self._split.images, chosen)
        read_ahead(self._split.masks, chosen)
        images = torch.from_numpy(self._split.images[chosen])
        masks = torch.from_numpy(self._split.masks[chosen])
        if self._device.type == "cuda":
            return images.pin_memory(), masks.pin_memory()
        return images, masks

    def _send(self, batch: Pair) -> Pair:
        images, masks = batch
        return (
            images.to(self._device, non_blocking=True),
            masks.to(self._device, non_blocking=True),
        )


Source = ResidentSource | StreamedSource


def open_source(split: Split, device: torch.device, recipe: TrainParams) -> Source:
    """The split in device memory where it fits (``data_on_device: auto``), else read ahead.

    The CPU reads ahead unless told otherwise: its memory holds the mapped files as it is.
    """
    resident = recipe.data_on_device
    if resident == "auto":
        size = split.images.nbytes + split.masks.nbytes
        cuda = device.type == "cuda"
        resident = cuda and size < _FREE_SHARE * torch.cuda.mem_get_info(device)[0]
    return ResidentSource(split, device) if resident else StreamedSource(split, device)
