"""Which class is taken for which, as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from seglock.report.style import LIGHT, canvas

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_MOST_WRITTEN = 21  # classes, up to which each share is written into its field


def draw_confusion(matrix: NDArray[np.int64], names: Sequence[str], path: Path) -> None:
    """A confusion matrix, (C, C) pixels with rows of true classes, as shares of each row: a PNG."""
    counts = matrix.astype(float)
    shares = counts / counts.sum(axis=1, keepdims=True).clip(min=1)
    size = 2.4 + 0.42 * len(names)
    with canvas(path, size + 0.6, size, LIGHT) as figure:
        axes = figure.add_subplot()
        image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        axes.grid(visible=False)
        axes.set_xticks(range(len(names)), names, rotation=90)
        axes.set_yticks(range(len(names)), names)
        axes.set_xlabel("predicted")
        axes.set_ylabel("true")
        figure.colorbar(image, label="share of the true class")
        written = np.argwhere(matrix) if len(names) <= _MOST_WRITTEN else np.empty((0, 2), int)
        for row, column in written.tolist():
            share = shares[row, column]
            colour = LIGHT.paper if share > 0.6 else LIGHT.ink
            axes.text(
                column, row, f"{share:.2f}", ha="center", va="center", color=colour, fontsize=6
            )
