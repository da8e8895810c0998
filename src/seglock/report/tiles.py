"""Square pictures in rows on a figure, every image pixel shown as a whole number of dots."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

TILE = 1.5  # inches
GAP = 0.09
_DOTS = 240
_MOST_DOTS = 512


def tile_dpi(side: int) -> float:
    """Dots an inch at which a tile shows ``side`` pixels without uneven ones (which give moire).

    >>> [round(tile_dpi(side) * TILE) for side in (2, 64, 128, 256, 4096)]
    [240, 256, 256, 256, 512]
    """
    whole = max(1, round(_DOTS / side)) * side
    return min(whole, _MOST_DOTS) / TILE


def figure_size(width: float, height: float, dpi: float) -> tuple[float, float]:
    """A size in inches, rounded up to whole dots."""
    return math.ceil(width * dpi) / dpi, math.ceil(height * dpi) / dpi


def add_tile(figure: Figure, x: float, y: float) -> Axes:
    """A bare square of axes whose upper left corner is ``x``, ``y`` inches from the figure's."""
    dpi = figure.dpi
    width, height = figure.get_size_inches()
    left = round(x * dpi) / dpi
    bottom = round((height - y - TILE) * dpi) / dpi
    axes = figure.add_axes((left / width, bottom / height, TILE / width, TILE / height))
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)
    return axes


def add_row(figure: Figure, x: float, y: float, count: int) -> list[Axes]:
    """``count`` tiles side by side."""
    return [add_tile(figure, x + place * (TILE + GAP), y) for place in range(count)]


def row_width(count: int) -> float:
    """Inches that a row of ``count`` tiles takes."""
    return count * TILE + (count - 1) * GAP


def show(axes: Axes, picture: NDArray[Any], title: str = "", score: float | None = None) -> None:
    """Fill a tile with a picture (H, W, 3), uint8 or float in 0..1; ``score`` goes below it."""
    axes.imshow(picture, interpolation="nearest")
    if title:
        axes.set_title(title, loc="center", fontsize=9.5, pad=4)
    if score is not None:
        axes.set_xlabel(f"{score:.4f}", fontsize=9.5, labelpad=3)


def add_note(figure: Figure, text: str, colour: str) -> None:
    """A small line in the lower right corner."""
    width, height = figure.get_size_inches()
    figure.text(
        1 - 0.08 / width, 0.06 / height, text, ha="right", va="bottom", fontsize=8, color=colour
    )


def as_picture(image: NDArray[np.generic]) -> NDArray[np.generic]:
    """An image (3, H, W) as matplotlib wants it, (H, W, 3)."""
    return image.transpose(1, 2, 0)
