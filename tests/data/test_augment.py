from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from seglock.data.augment import Augmentation, augment, draw_augmentation

FULL = {"crop_scale": (1.0, 1.0), "crop_ratio": (1.0, 1.0)}


def _random(batch: int = 6, side: int = 24) -> tuple[torch.Tensor, torch.Tensor]:
    rng = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (batch, 3, side, side), generator=rng, dtype=torch.uint8)
    return images, images[:, 0].clone()


@pytest.mark.parametrize("side", [1, 7, 24, 64])
@pytest.mark.parametrize("flip", [0.0, 1.0])
def test_the_whole_box_keeps_every_value(side: int, flip: float) -> None:
    images, masks = _random(side=side)
    draws = draw_augmentation(6, seed=1, epoch=2, step=3, flip=flip, **FULL)
    out, labels = augment(images, masks, draws)
    assert out.dtype == labels.dtype == torch.uint8
    expected = (lambda x: x.flip(-1)) if flip else (lambda x: x)
    assert torch.equal(out, expected(images))
    assert torch.equal(labels, expected(masks))


@settings(max_examples=25)
@given(seed=st.integers(0, 10**6), epoch=st.integers(0, 99), side=st.sampled_from([16, 31, 64]))
def test_image_and_mask_stay_aligned(seed: int, epoch: int, side: int) -> None:
    # Each pixel's value tells its place: 3 * x in red, 3 * y in green; the masks say x and y.
    place = torch.arange(side, dtype=torch.uint8)
    x, y = place.expand(side, side), place[:, None].expand(side, side)
    images = torch.stack([3 * x, 3 * y, 0 * x])[None].repeat(8, 1, 1, 1)
    draws = draw_augmentation(8, seed=seed, epoch=epoch, step=0, crop_scale=(0.2, 1.0))
    for channel, truth in ((0, x), (1, y)):
        out, labels = augment(images, truth[None].repeat(8, 1, 1), draws)
        assert (out[:, channel].float() / 3 - labels.float()).abs().max() <= 0.5 + 0.2


def test_a_box_is_cut_where_it_says() -> None:
    images, masks = _random(batch=1, side=8)
    draws = Augmentation(torch.tensor([[0.25, 0.5, 0.5, 0.25]]), torch.tensor([False]))
    _, labels = augment(images, masks, draws)
    rows = [2, 2, 3, 3, 4, 4, 5, 5]
    columns = [4, 4, 4, 4, 5, 5, 5, 5]
    assert torch.equal(labels[0], masks[0][rows][:, columns])
    _, mirrored = augment(images, masks, Augmentation(draws.boxes, torch.tensor([True])))
    assert torch.equal(mirrored, labels.flip(-1))


def test_masks_get_no_new_labels() -> None:
    images, _ = _random(batch=32)
    masks = torch.tensor([0, 3, 255], dtype=torch.uint8)[images[:, 0].long() % 3]
    _, labels = augment(images, masks, draw_augmentation(32, seed=0, epoch=0, step=0))
    assert set(labels.unique().tolist()) == {0, 3, 255}


def test_draws_depend_on_seed_epoch_and_step_alone() -> None:
    first = draw_augmentation(16, seed=0, epoch=1, step=2)
    torch.manual_seed(5)
    np.random.default_rng(5)
    again = draw_augmentation(16, seed=0, epoch=1, step=2)
    assert torch.equal(first.boxes, again.boxes)
    assert torch.equal(first.flips, again.flips)
    for other in ({"seed": 1}, {"epoch": 2}, {"step": 1}):
        changed = draw_augmentation(16, **{"seed": 0, "epoch": 1, "step": 2, **other})
        assert not torch.equal(first.boxes, changed.boxes)


# This project's first version; a change here changes what every seed means.
FROZEN_BOXES = [
    [0.0026273, 0.2438985, 0.9517704, 0.7448772],
    [0.0399378, 0.0104558, 0.882841, 0.9697463],
]
FROZEN_FLIPS = [True, True]


def test_draws_are_frozen() -> None:
    draws = draw_augmentation(2, seed=0, epoch=0, step=0)
    torch.testing.assert_close(draws.boxes, torch.tensor(FROZEN_BOXES), rtol=0, atol=1e-6)
    assert draws.flips.tolist() == FROZEN_FLIPS


# This project's first version of the colours, too.
FROZEN_COLOURS = [[1.197399, 0.8404195, 1.0176965], [1.2811421, 1.0882015, 1.2048463]]


def test_colours_have_a_stream_of_their_own() -> None:
    draws = draw_augmentation(2, seed=0, epoch=0, step=0, color_jitter=0.4)
    torch.testing.assert_close(draws.boxes, torch.tensor(FROZEN_BOXES), rtol=0, atol=1e-6)
    assert draws.flips.tolist() == FROZEN_FLIPS
    torch.testing.assert_close(draws.colours, torch.tensor(FROZEN_COLOURS), rtol=0, atol=1e-6)
    assert draw_augmentation(2, seed=0, epoch=0, step=0).colours is None


def test_factors_are_spread_about_one() -> None:
    colours = draw_augmentation(20_000, seed=0, epoch=1, step=0, color_jitter=0.25).colours
    assert colours is not None
    for factors in colours.double().unbind(1):
        counts = torch.histc(factors, bins=10, min=0.75, max=1.25)
        assert ((counts - 2000).abs() < 6 * 45).all()
    assert torch.corrcoef(colours.T).triu(1).abs().max() < 0.03


@pytest.mark.parametrize("factors", [[0.6, 1, 1], [1, 0.6, 1], [1, 1, 0.6], [0.7, 0.5, 0.2]])
def test_colours_are_torchvisions(factors: list[float]) -> None:
    """Where none of its three steps clips, they differ by what it cuts off after each of them."""
    from torchvision.transforms import functional as torchvision

    images, masks = _random()
    brightness, contrast, saturation = factors
    expected = torchvision.adjust_brightness(images, brightness)
    expected = torchvision.adjust_contrast(expected, contrast)
    expected = torchvision.adjust_saturation(expected, saturation)
    draws = draw_augmentation(6, seed=0, epoch=0, step=0, flip=0, **FULL)
    colours = torch.tensor(factors).expand(6, 3)
    out, labels = augment(images, masks, dataclasses.replace(draws, colours=colours))
    assert (out.int() - expected.int()).abs().max() <= 3
    assert torch.equal(labels, masks)


def test_colours_are_clipped_and_one_leaves_them_alone() -> None:
    images, masks = _random()
    draws = draw_augmentation(6, seed=0, epoch=0, step=0, flip=0, **FULL)
    bright = torch.tensor([2.0, 1.0, 1.0]).expand(6, 3)
    out, _ = augment(images, masks, dataclasses.replace(draws, colours=bright))
    assert torch.equal(out, (images.int() * 2).clamp(max=255).byte())
    out, _ = augment(images, masks, dataclasses.replace(draws, colours=torch.ones(6, 3)))
    assert torch.equal(out, images)


def test_ranks_take_slices_of_the_global_batch() -> None:
    images, masks = _random(batch=8)
    draws = draw_augmentation(8, seed=3, epoch=0, step=0, color_jitter=0.4)
    whole, whole_masks = augment(images, masks, draws)
    parts = [augment(images[a:b], masks[a:b], draws[a:b]) for a, b in ((0, 4), (4, 8))]
    assert torch.equal(torch.cat([part[0] for part in parts]), whole)
    assert torch.equal(torch.cat([part[1] for part in parts]), whole_masks)
    assert [len(draws[a:b]) for a, b in ((0, 3), (3, 8))] == [3, 5]


@settings(max_examples=20)
@given(
    low=st.floats(0.05, 1.0),
    high=st.floats(0.05, 1.0),
    ratio=st.floats(1.0, 3.0),
    seed=st.integers(0, 2**40),
)
def test_boxes_lie_inside_the_image(low: float, high: float, ratio: float, seed: int) -> None:
    scale = (min(low, high), max(low, high))
    boxes = draw_augmentation(
        200, seed=seed, epoch=0, step=0, crop_scale=scale, crop_ratio=(1 / ratio, ratio)
    ).boxes
    top, left, height, width = boxes.unbind(1)
    for start, extent in ((top, height), (left, width)):
        assert (start >= 0).all()
        assert (extent > 0).all()
        assert (start + extent <= 1 + 1e-6).all()
    assert (height * width <= scale[1] + 1e-5).all()
    fits = (height < 1) & (width < 1)
    assert (height * width >= scale[0] - 1e-5)[fits].all()
    assert ((width / height).log().abs() <= math.log(ratio) + 1e-5)[fits].all()


def test_areas_places_and_flips_are_spread_as_they_should() -> None:
    draws = draw_augmentation(20_000, seed=0, epoch=0, step=0, crop_scale=(0.2, 0.4), flip=0.3)
    top, left, height, width = draws.boxes.double().unbind(1)
    area = height * width
    counts = torch.histc(area, bins=10, min=0.2, max=0.4)
    assert ((counts - 2000).abs() < 6 * math.sqrt(2000)).all()
    for start, extent in ((top, height), (left, width)):
        share = start / (1 - extent)
        assert ((torch.histc(share, bins=10, min=0, max=1) - 2000).abs() < 6 * 45).all()
    assert abs(draws.flips.double().mean() - 0.3) < 6 * math.sqrt(0.21 / 20_000)
    assert abs((width / height).log().mean()) < 0.01


def test_memory_mapped_arrays_need_no_copy(tmp_path) -> None:
    np.save(tmp_path / "a.npy", np.zeros((2, 3, 8, 8), dtype=np.uint8))
    images = torch.from_numpy(np.load(tmp_path / "a.npy", mmap_mode="c"))
    out, _ = augment(images, images[:, 0], draw_augmentation(2, seed=0, epoch=0, step=0))
    assert out.shape == images.shape


@pytest.mark.gpu
def test_cuda_draws_what_the_cpu_draws() -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    images, masks = _random(batch=16, side=64)
    draws = draw_augmentation(16, seed=0, epoch=0, step=0, color_jitter=0.4)
    out, labels = augment(images, masks, draws)
    cuda, cuda_labels = augment(images.cuda(), masks.cuda(), draws)
    assert (out.int() - cuda.cpu().int()).abs().max() <= 1
    assert (labels == cuda_labels.cpu()).float().mean() > 0.999
