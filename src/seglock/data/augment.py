"""Random resized crop, flip and colours, drawn without state, applied to a batch on its device.

The draws of a step are a function of (seed, epoch, step) alone: a resumed run draws the same, and
each process of a distributed run takes its slice of the global batch's draws.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional as F

_TRIES = 10


@dataclass(frozen=True)
class Augmentation:
    """What is done to each image of a batch.

    boxes: (B, 4) float32 on the CPU: top, left, height, width as shares of the image's sides.
    flips: (B,) bool on the CPU.
    colours: (B, 3) float32 on the CPU, factors of brightness, contrast and saturation; None: as
    they are.
    """

    boxes: torch.Tensor
    flips: torch.Tensor
    colours: torch.Tensor | None = None

    def __len__(self) -> int:
        return len(self.flips)

    def __getitem__(self, part: slice) -> Augmentation:
        colours = None if self.colours is None else self.colours[part]
        return Augmentation(self.boxes[part], self.flips[part], colours)


def draw_augmentation(
    batch: int,
    *,
    seed: int,
    epoch: int,
    step: int,
    crop_scale: tuple[float, float] = (0.5, 1.0),
    crop_ratio: tuple[float, float] = (3 / 4, 4 / 3),
    flip: float = 0.5,
    color_jitter: float = 0.0,
) -> Augmentation:
    """Draw crops, flips and colours for a global batch.

    A crop keeps a share of the area within ``crop_scale``, with a width-to-height ratio within
    ``crop_ratio`` (log-uniform), at a uniform place; a shape that does not fit is drawn again, ten
    times at most, then clipped. ``flip`` is the probability of a horizontal flip. Factors of
    brightness, contrast and saturation are uniform in 1 - ``color_jitter`` .. 1 + ``color_jitter``
    (at most 1), each image's its own; they have a stream of their own.

    >>> draws = draw_augmentation(4, seed=0, epoch=1, step=2)
    >>> len(draws), len(draws[2:])
    (4, 2)
    """
    uniform = _uniform(f"augment/{seed}/{epoch}/{step}", (batch, 2 * _TRIES + 3))
    low, high = crop_scale
    area = low + (high - low) * uniform[:, :_TRIES]
    low, high = map(math.log, crop_ratio)
    ratio = np.exp(low + (high - low) * uniform[:, _TRIES : 2 * _TRIES])
    widths, heights = np.sqrt(area * ratio), np.sqrt(area / ratio)
    first = np.argmax((widths <= 1) & (heights <= 1), axis=1)
    rows = np.arange(batch)
    width = np.minimum(widths[rows, first], 1.0)
    height = np.minimum(heights[rows, first], 1.0)
    top, left = uniform[:, -3] * (1 - height), uniform[:, -2] * (1 - width)
    boxes = np.stack([top, left, height, width], axis=1).astype(np.float32)
    flips = torch.from_numpy(uniform[:, -1] < flip)
    return Augmentation(
        torch.from_numpy(boxes), flips, _colours(batch, color_jitter, seed, epoch, step)
    )


def _colours(batch: int, strength: float, seed: int, epoch: int, step: int) -> torch.Tensor | None:
    if not strength:
        return None
    uniform = _uniform(f"colours/{seed}/{epoch}/{step}", (batch, 3))
    return torch.from_numpy((1 + strength * (2 * uniform - 1)).astype(np.float32))


def augment(
    images: torch.Tensor, masks: torch.Tensor, draws: Augmentation
) -> tuple[torch.Tensor, torch.Tensor]:
    """Cut each box out, flip it, resize it to the full side again, then change its colours.

    images: (B, 3, S, S) uint8, bilinear. masks: (B, S, S) uint8, nearest. Both keep shape, type
    and device, and both are sampled at the same places.

    >>> images, masks = torch.zeros(2, 3, 8, 8).byte(), torch.ones(2, 8, 8).byte()
    >>> images, masks = augment(images, masks, draw_augmentation(2, seed=0, epoch=0, step=0))
    >>> images.shape, masks.unique().tolist()
    (torch.Size([2, 3, 8, 8]), [1])
    """
    side_h, side_w = masks.shape[-2:]
    boxes = draws.boxes.to(images.device, non_blocking=True)
    flips = draws.flips.to(images.device, non_blocking=True)
    top, left, height, width = boxes.unbind(1)
    rows = _places(top, height, side_h)
    columns = _places(left, width, side_w)
    columns = torch.where(flips[:, None], columns.flip(1), columns)
    grid = torch.stack(
        [
            columns[:, None, :].expand(-1, side_h, -1),
            rows[:, :, None].expand(-1, -1, side_w),
        ],
        dim=-1,
    )
    pixels = F.grid_sample(
        images.float(), grid, mode="bilinear", padding_mode="border", align_corners=False
    )
    labels = F.grid_sample(
        masks[:, None].float(), grid, mode="nearest", padding_mode="border", align_corners=False
    )
    pixels = pixels.round_().clamp_(0, 255)
    if draws.colours is not None:
        pixels = _recoloured(pixels, draws.colours.to(images.device, non_blocking=True))
    return pixels.to(torch.uint8), labels[:, 0].to(torch.uint8)


def _recoloured(pixels: torch.Tensor, factors: torch.Tensor) -> torch.Tensor:
    """Brightness, contrast, saturation, in that order, each a blend as torchvision has it.

    In contrast to torchvision's, values are clipped and rounded once, at the end; all three are
    one weighted sum of the pixel, its grey and the image's mean grey. Shape: (B, 3, S, S) whole
    numbers 0..255 as floats and (B, 3) factors -> the same as pixels.
    """
    brightness, contrast, saturation = factors[:, :, None, None, None].unbind(1)
    grey = _grey(pixels)
    # In float64 a sum of whole numbers is exact: a mean does not depend on how batches are cut.
    mean = _grey(pixels.mean((2, 3), keepdim=True, dtype=torch.float64).float())
    gain = brightness * contrast
    moved = pixels * (gain * saturation) + (
        grey * (gain * (1 - saturation)) + mean * (brightness * (1 - contrast))
    )
    return moved.round_().clamp_(0, 255)


def _grey(pixels: torch.Tensor) -> torch.Tensor:
    """Luma after ITU-R BT.601: (B, 3, H, W) -> (B, 1, H, W)."""
    return 0.299 * pixels[:, :1] + 0.587 * pixels[:, 1:2] + 0.114 * pixels[:, 2:]


def _places(start: torch.Tensor, extent: torch.Tensor, side: int) -> torch.Tensor:
    """Centres of ``side`` output pixels within [start, start + extent), on the scale -1..1."""
    centres = (torch.arange(side, device=start.device, dtype=torch.float32) + 0.5) / side
    return (start[:, None] + extent[:, None] * centres) * 2 - 1


def _uniform(label: str, shape: tuple[int, ...]) -> np.ndarray:
    """Uniform float64 in [0, 1) from the label alone: Philox, whose raw stream never changes."""
    key = np.frombuffer(hashlib.sha256(label.encode()).digest()[:16], dtype="<u8")
    raw: np.ndarray = np.random.Philox(key=key).random_raw(math.prod(shape))
    return ((raw >> np.uint64(11)) * 2.0**-53).reshape(shape)
