"""Which class is taken for which, as a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from seglock.report.style import CORRECT, LIGHT, Theme, canvas

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike

_MOST_WRITTEN = 21  # classes, up to which each share is written into its field
_CELL = 0.4  # inches
_MOST = 8.0  # inches of all fields of a panel
_POINTS = 72  # an inch


def draw_confusion(
    matrices: Mapping[str, ArrayLike],
    names: Sequence[str],
    path: Path,
    *,
    theme: Theme = LIGHT,
) -> None:
    """Draw confusion matrices side by side, by title: a PNG.

    Each is (C, C) pixels with rows of true classes, drawn as shares of each row.
    """
    from matplotlib.colors import LinearSegmentedColormap

    cell = min(_CELL, _MOST / len(names))
    letters = min(9.0, 0.8 * cell * _POINTS)
    margin = 0.6 + max(map(len, names)) * letters * 0.62 / _POINTS
    colours = LinearSegmentedColormap.from_list("share", [theme.paper, theme.colour(CORRECT)])
    width = (margin + cell * len(names)) * len(matrices) + 0.9
    with canvas(path, width, margin + cell * len(names) + 0.4, theme) as figure:
        panels = figure.subplots(1, len(matrices), squeeze=False, sharey=True)[0]
        for axes, (title, matrix) in zip(panels, matrices.items(), strict=True):
            counts = np.asarray(matrix, dtype=float)
            shares = counts / counts.sum(axis=1, keepdims=True).clip(min=1)
            image = axes.imshow(shares, cmap=colours, vmin=0, vmax=1)
            axes.grid(visible=False)
            axes.set_xticks(range(len(names)), names, rotation=90, fontsize=letters)
            axes.set_yticks(range(len(names)), names, fontsize=letters)
            axes.set_xlabel("predicted")
            axes.set_title(title)
            if len(names) <= _MOST_WRITTEN:
                _write(axes, shares, theme)
        panels[0].set_ylabel("true")
        figure.colorbar(image, ax=list(panels), label="share of the true class")


def _write(axes: Axes, shares: np.ndarray[Any, Any], theme: Theme) -> None:
    for row, column in np.argwhere(shares).tolist():
        share = shares[row, column]
        colour = theme.paper if share > 0.6 else theme.ink
        axes.text(column, row, f"{share:.2f}", ha="center", va="center", color=colour, fontsize=6)
