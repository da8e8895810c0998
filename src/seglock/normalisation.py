"""How a network wants its inputs: the mean and standard deviation that values are normalised by."""

from __future__ import annotations

from typing import NamedTuple


class Normalisation(NamedTuple):
    """``(value - mean) / std`` by channel, red first, of values that were scaled to 0..1."""

    mean: tuple[float, float, float]
    std: tuple[float, float, float]


IMAGENET = Normalisation((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
"""What the channels of ImageNet's photos have: torchvision's networks, and ours."""
