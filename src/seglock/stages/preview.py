"""``seglock preview``: the paper's Fig. 4 for any image, with the demonstration key."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from seglock.errors import ConfigError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MULTIPLE = 16
LARGEST_SIDE = 1024


def preview(image: Path | None, out: Path, side: int) -> Path:
    """Draw an image under every method at M = 2, 4, 8, 16 and the whole image; returns ``out``.

    ``image`` is any image file (None: a synthetic one), cropped to its central square and resized
    to ``side`` pixels, a multiple of 16. Writes a PNG. Raises ConfigError or DataError.
    """
    from seglock.report.gallery import draw_scene, draw_transforms

    if side < MULTIPLE or side % MULTIPLE or side > LARGEST_SIDE:
        nearest = min(max(round(side / MULTIPLE), 1) * MULTIPLE, LARGEST_SIDE)
        raise ConfigError(
            f"side must be a multiple of {MULTIPLE} from {MULTIPLE} to {LARGEST_SIDE}",
            got=side,
            fix=f"use {nearest}",
        )
    if out.suffix.lower() != ".png":
        raise ConfigError("the preview is a PNG", got=str(out), fix=f"write {out}.png")
    draw_transforms(draw_scene(side) if image is None else read_square(image, side), out)
    return out


def read_square(path: Path, side: int) -> NDArray[np.uint8]:
    """The central square of an image file, resized: (3, side, side) uint8 RGB."""
    import numpy as np
    from PIL import Image, ImageOps

    from seglock.data.pictures import open_image

    square = ImageOps.fit(open_image(path), (side, side), Image.Resampling.LANCZOS)
    return np.ascontiguousarray(np.asarray(square).transpose(2, 0, 1))
