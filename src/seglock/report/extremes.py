"""The test images that a lock's owner gets worst and best, beside what everyone else makes of them.

No encrypted image is among them.
"""

from __future__ import annotations

from pathlib import Path

from seglock.report.gallery import (
    ACCESSES,
    TILE,
    add_row,
    as_picture,
    figure_size,
    row_width,
    show,
    tile_dpi,
)
from seglock.report.locks import LockResult
from seglock.report.style import LIGHT, Theme, canvas, colour_mask

_LEFT, _TOP, _PITCH = 0.42, 0.3, TILE + 0.3


def draw_extremes(result: LockResult, path: Path, *, theme: Theme = LIGHT) -> None:
    """Draw a lock's worst and best test images, a row each, as a PNG: input, ground truth, and the
    prediction under each access with its mean IoU on this image."""
    pictures, ranked = result.pictures, result.ranked
    masks = {
        title: (access, found)
        for access, title in ACCESSES.items()
        if (found := getattr(pictures, access)) is not None
    }
    columns, dpi = 2 + len(masks), tile_dpi(pictures.images.shape[-1])
    size = figure_size(_LEFT + row_width(columns) + 0.08, _TOP + _PITCH * len(ranked), dpi)
    with canvas(path, *size, theme, dpi=dpi, layout=None) as figure:
        for place, (index, rank) in enumerate(ranked):
            row = add_row(figure, _LEFT, _TOP + _PITCH * place, columns)
            row[0].set_ylabel(rank, fontsize=10, fontweight="bold", labelpad=6)
            score = result.picture_score(index)
            drawn = [
                ("Input", as_picture(pictures.images[index]), None),
                ("Ground truth", colour_mask(pictures.target[index]), None),
                *(
                    (title, colour_mask(found[index]), getattr(score, access))
                    for title, (access, found) in masks.items()
                ),
            ]
            for axes, (title, picture, value) in zip(row, drawn, strict=True):
                show(axes, picture, title if place == 0 else "", value)
