"""Which images make a batch, for which process, and that every way of reading gives the same."""

from __future__ import annotations

import weakref

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from seglock.config import TrainParams
from seglock.training.batches import (
    ResidentSource,
    StreamedSource,
    epoch_batches,
    open_source,
    share_of,
)
from tests.training.small import small_split

CPU = torch.device("cpu")


@given(
    count=st.integers(1, 60),
    size=st.integers(1, 20),
    epoch=st.integers(1, 9),
    seed=st.integers(-(2**63), 2**63 - 1),
)
def test_an_epoch_is_every_image_once(count: int, size: int, epoch: int, seed: int) -> None:
    recipe = TrainParams(batch_size=size, drop_last=False, seed=seed)
    batches = epoch_batches(count, recipe, epoch)
    assert sorted(np.concatenate(batches)) == list(range(count))
    assert [len(batch) for batch in batches[:-1]] == [size] * (len(batches) - 1)
    again = epoch_batches(count, recipe, epoch)
    assert all(np.array_equal(one, other) for one, other in zip(batches, again, strict=True))


def test_epochs_and_seeds_differ_and_the_partial_batch_goes() -> None:
    recipe = TrainParams(batch_size=8, drop_last=True)
    first = epoch_batches(30, recipe, 1)
    assert [len(batch) for batch in first] == [8, 8, 8]
    others = [
        epoch_batches(30, recipe, 2),
        epoch_batches(30, recipe.model_copy(update={"seed": 1}), 1),
    ]
    assert not any(np.array_equal(first, other) for other in others)


@given(count=st.integers(0, 50), size=st.integers(1, 9))
def test_shares_cover_a_batch_once_and_evenly(count: int, size: int) -> None:
    shares = [list(range(count))[share_of(count, rank, size)] for rank in range(size)]
    assert [number for share in shares for number in share] == list(range(count))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


@pytest.mark.parametrize("kind", [ResidentSource, StreamedSource])
def test_each_source_gives_the_images_asked_for(kind: type) -> None:
    split = small_split("train", 9, 0)
    numbers = [np.array(batch) for batch in ([8, 0], [3], [1, 1, 1], [2], [4, 5], [6, 7])]
    found = list(kind(split, CPU).batches(numbers))
    assert len(found) == len(numbers)
    for chosen, (images, masks) in zip(numbers, found, strict=True):
        assert images.dtype == masks.dtype == torch.uint8
        assert np.array_equal(images.numpy(), split.images[chosen])
        assert np.array_equal(masks.numpy(), split.masks[chosen])


def test_a_reading_error_reaches_the_loop() -> None:
    source = StreamedSource(small_split("train", 2, 0), CPU)
    with pytest.raises(IndexError):
        list(source.batches([np.array([0]), np.array([5])]))


@pytest.mark.parametrize(
    ("wanted", "kind"),
    [("auto", StreamedSource), (True, ResidentSource), (False, StreamedSource)],
)
def test_the_recipe_chooses_the_source(wanted: bool | str, kind: type) -> None:
    recipe = TrainParams(data_on_device=wanted)  # type: ignore[arg-type]
    assert type(open_source(small_split("train", 2, 0), CPU, recipe)) is kind


@pytest.mark.parametrize(("spare", "kind"), [(1, ResidentSource), (0, StreamedSource)])
def test_a_split_that_leaves_half_of_the_card_free_is_resident(
    monkeypatch: pytest.MonkeyPatch, spare: int, kind: type
) -> None:
    split = small_split("train", 3, 0)
    size = split.images.nbytes + split.masks.nbytes
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (2 * (size + spare), 10 * size))
    monkeypatch.setattr("seglock.training.batches._load", lambda array, _: array)
    assert type(open_source(split, torch.device("cuda"), TrainParams())) is kind


def test_memory_holds_few_batches_of_a_streamed_split(monkeypatch: pytest.MonkeyPatch) -> None:
    source = StreamedSource(small_split("train", 40, 0), CPU)
    held: weakref.WeakSet[torch.Tensor] = weakref.WeakSet()
    read = source._read

    def counted(chosen: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        batch = read(chosen)
        held.add(batch[0])
        return batch

    monkeypatch.setattr(source, "_read", counted)
    most = 0
    for _ in source.batches([np.array([number]) for number in range(40)]):
        most = max(most, len(held))
    assert 1 <= most <= 4


def test_a_resident_split_is_loaded_in_pieces_whole() -> None:
    split = small_split("train", 150, 0)
    images, masks = next(ResidentSource(split, CPU).batches([np.arange(150)]))
    assert np.array_equal(images.numpy(), split.images)
    assert np.array_equal(masks.numpy(), split.masks)
