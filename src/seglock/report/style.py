"""The house style of the figures: colours that colour-blind readers can tell apart, and sizes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from seglock import files

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

DPI = 160
_STYLE = Path(__file__).parent / "house.mplstyle"


class Access(NamedTuple):
    """How one kind of access looks in every figure; ``on_dark`` is its colour on dark paper."""

    label: str
    colour: str
    on_dark: str
    marker: str


# Hues after Okabe and Ito.
CORRECT = Access("Correct key", "#0072b2", "#56b4e9", "o")
PLAIN = Access("Plain (no key)", "#e69f00", "#e69f00", "s")
PLAIN_BN = Access("Plain, batch norm re-estimated", "#009e73", "#1fb88c", "^")
INCORRECT = Access("Incorrect keys", "#d55e00", "#e8743b", "D")


@dataclass(frozen=True)
class Theme:
    """Colours of paper and ink; figures in the page come in both. Dark: light ink on dark paper."""

    is_dark: bool
    paper: str
    ink: str
    faint: str
    grid: str

    @property
    def reference(self) -> dict[str, Any]:
        """How the line of the owner or the baseline is drawn."""
        return {"color": self.ink, "linestyle": "--", "linewidth": 1.2}

    @property
    def floor(self) -> dict[str, Any]:
        """How the line of the floor is drawn, and what it is called."""
        style = {"color": self.faint, "linestyle": ":", "linewidth": 1.6}
        return style | {"label": "Floor (no model)"}

    def colour(self, access: Access) -> str:
        """The colour of one kind of access on this paper."""
        return access.on_dark if self.is_dark else access.colour


LIGHT = Theme(False, "#ffffff", "#1d2530", "#5b6675", "#e3e7ec")
DARK = Theme(True, "#161b22", "#e8edf3", "#a3aebc", "#2d3641")


@contextmanager
def canvas(
    path: Path,
    width: float,
    height: float,
    theme: Theme,
    *,
    dpi: float = DPI,
    layout: Literal["constrained"] | None = "constrained",
) -> Iterator[Figure]:
    """A figure of ``width`` x ``height`` inches in the house style, without pyplot.

    What was drawn is written to ``path`` at the end.
    """
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    settings: Any = {
        "figure.facecolor": theme.paper,
        "axes.facecolor": theme.paper,
        "savefig.facecolor": theme.paper,
        "text.color": theme.ink,
        "axes.labelcolor": theme.ink,
        "axes.edgecolor": theme.faint,
        "xtick.color": theme.faint,
        "ytick.color": theme.faint,
        "xtick.labelcolor": theme.ink,
        "ytick.labelcolor": theme.ink,
        "grid.color": theme.grid,
    }
    with matplotlib.rc_context(settings, _STYLE):
        figure = Figure(figsize=(width, height), dpi=dpi, layout=layout)
        FigureCanvasAgg(figure)
        yield figure
        save(figure, path)


def save(figure: Figure, path: Path) -> None:
    """Write a figure as PNG, whole or not at all; the same figure gives the same bytes."""
    with files.replacing(path) as file:
        figure.savefig(file, format="png", dpi=figure.dpi, metadata={"Software": None})


def say(axes: Axes, words: str) -> None:
    """Words in place of a drawing."""
    axes.set_axis_off()
    axes.text(0.5, 0.5, words, ha="center", va="center", wrap=True, transform=axes.transAxes)


def side_axis(axes: Axes, sides: Sequence[int]) -> None:
    """A horizontal axis of these block sides."""
    axes.set_xscale("log", base=2)
    axes.set_xticks(sides, [str(side) for side in sides])
    axes.minorticks_off()
    axes.set_xlabel("block side M")


def named_handles(several: Iterable[Axes]) -> dict[str, Any]:
    """What a legend of several axes lists: each label once, with its first handle."""
    named: dict[str, Any] = {}
    for axes in several:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            named.setdefault(label, handle)
    return named


def palette() -> NDArray[np.uint8]:
    """The colour of each class index, (256, 3) uint8: the VOC palette, void (255) cream."""
    import numpy as np

    from seglock.data.synthetic import voc_palette

    return np.array(voc_palette(), dtype=np.uint8).reshape(256, 3)


def colour_mask(mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A mask (H, W) of class indices as an RGB picture (H, W, 3) uint8 in the VOC palette."""
    coloured: NDArray[np.uint8] = palette()[mask]
    return coloured
