"""What a prediction is: a mask at the photo's size, its classes' names, and pictures of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from seglock.data.synthetic import voc_palette

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL import Image

_OPACITY = 0.5


@dataclass(frozen=True, eq=False)
class Prediction:
    """A photo's classes, pixel by pixel.

    classes: (H, W) uint8 at the photo's own size, indices into ``names``.

    Examples:
        >>> made = Prediction(np.array([[0, 1], [1, 1]], np.uint8), ("road", "car"))
        >>> made.shares
        {'car': 0.75, 'road': 0.25}
    """

    classes: NDArray[np.uint8] = field(repr=False)
    names: tuple[str, ...]

    @property
    def shares(self) -> dict[str, float]:
        """How much of the photo each class covers, 0 to 1, largest first; those that occur."""
        counts = np.bincount(self.classes.ravel(), minlength=len(self.names))
        order = np.argsort(-counts, kind="stable")
        whole = self.classes.size
        return {self.names[i]: float(counts[i] / whole) for i in order if counts[i]}

    def mask(self) -> Image.Image:
        """The classes as a palette picture (mode ``P``) in the colours of PASCAL VOC."""
        from PIL import Image

        picture = Image.fromarray(self.classes)
        picture.putpalette(voc_palette())
        return picture

    def overlay(self, photo: Image.Image) -> Image.Image:
        """The photo, an RGB picture of the mask's size, under the classes' colours."""
        from PIL import Image

        return Image.blend(photo, self.mask().convert("RGB"), _OPACITY)


def at_size(classes: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """A mask (S, S) brought to (width, height) by the nearest pixel: (H, W) uint8."""
    from PIL import Image

    return np.asarray(Image.fromarray(classes).resize(size, Image.Resampling.NEAREST))
