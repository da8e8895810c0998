"""Putting names beside points so that they cover neither each other, nor points, nor lines."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from seglock.report.style import Theme

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Distances from the middle of a marker, in points of print; the farther are told by a thin line.
_RINGS = (8, 13, 20, 30, 42)
_LINE_FROM = 12
_LINE: dict[str, Any] = {"arrowstyle": "-", "linewidth": 0.6, "shrinkA": 0, "shrinkB": 4}
# Where the label goes, best first: how far right and up, and which of its corners is there.
_SIDES = (
    (-1, 1, "right", "bottom"),
    (0, 1, "center", "bottom"),
    (-1, 0, "right", "center"),
    (1, 1, "left", "bottom"),
    (-1, -1, "right", "top"),
    (0, -1, "center", "top"),
    (1, 0, "left", "center"),
    (1, -1, "left", "top"),
)
_SHARE = {"left": 0.0, "bottom": 0.0, "center": 0.5, "right": 1.0, "top": 1.0}
_MARKER = 6.5
_MOST_SAMPLES = 2000
_FONT = 8.5


class Label(NamedTuple):
    """A name for the point (x, y), and how it is written."""

    text: str
    x: float
    y: float
    is_bold: bool = False


class Place(NamedTuple):
    """Where a label goes: points of print to the right and up, and which corner is there."""

    rank: float
    dx: float
    dy: float
    across: str
    up: str
    has_line: bool


def place_labels(
    axes: Axes, labels: Sequence[Label], points: Sequence[tuple[float, float]], theme: Theme
) -> None:
    """Write each label beside its point, where `find_places` has it."""
    from matplotlib.patheffects import withStroke

    for label, place in find_places(axes, labels, points):
        note = axes.annotate(
            label.text,
            (label.x, label.y),
            xytext=(place.dx, place.dy),
            textcoords="offset points",
            ha=place.across,
            va=place.up,
            fontsize=_FONT,
            fontweight="bold" if label.is_bold else "normal",
            zorder=9,
            arrowprops=_LINE | {"color": theme.faint} if place.has_line else None,
            path_effects=[withStroke(linewidth=2.5, foreground=theme.paper)],
        )
        note.set_in_layout(False)


def find_places(
    axes: Axes, labels: Sequence[Label], points: Sequence[tuple[float, float]]
) -> list[tuple[Label, Place]]:
    """Where each label covers least.

    ``points`` are all markers of ``axes``, in data coordinates. The layout must be final: call
    ``figure.draw_without_rendering()`` before.
    """
    from matplotlib.transforms import Bbox

    scale = axes.figure.dpi / 72
    radius = _MARKER * scale
    frame, to_pixels = axes.get_window_extent(), axes.transData.transform
    markers = [
        Bbox.from_extents(x - radius, y - radius, x + radius, y + radius)
        for x, y in to_pixels(list(points) or [(0.0, 0.0)])
    ]
    lines = _points_on_lines(axes, scale)
    taken: list[Bbox] = []
    found: list[tuple[Label, Place]] = []

    def cost_of(choice: tuple[Place, Bbox]) -> float:
        place, box = choice
        cost = place.rank + 20 * sum(_overlap(box, other) for other in taken)
        cost += 6 * sum(_overlap(box, other) for other in markers)
        cost += 0.35 * sum(box.contains(x, y) for x, y in lines)
        return float(cost + 20 * (1 - _overlap(box, frame)))

    for label in labels:
        weight = "bold" if label.is_bold else "normal"
        measure = axes.text(0, 0, label.text, fontsize=_FONT, fontweight=weight)
        width, height = measure.get_window_extent().size
        measure.remove()
        x, y = to_pixels((label.x, label.y))
        choices = []
        for place in _places():
            left = x + place.dx * scale - _SHARE[place.across] * width
            low = y + place.dy * scale - _SHARE[place.up] * height
            choices.append((place, Bbox.from_bounds(left, low, width, height)))
        best, box = min(choices, key=cost_of)
        taken.append(box)
        found.append((label, best))
    return found


def _places() -> Iterator[Place]:
    for far, ring in enumerate(_RINGS):
        for rank, (right, up, across, side) in enumerate(_SIDES):
            reach = ring * (0.72 if right and up else 1)
            near = 0.3 * far + 0.02 * rank
            yield Place(near, right * reach, up * reach, across, side, ring > _LINE_FROM)


def _points_on_lines(axes: Axes, scale: float) -> list[tuple[float, float]]:
    """Pixels along every line and frame of ``axes``, some four points of print apart."""
    import numpy as np

    shapes = [
        line.get_transform().transform_path(line.get_path())
        for line in axes.lines
        if line.get_linestyle() not in ("None", "none")
        and len(np.asarray(line.get_path().vertices)) > 1
    ]
    shapes += [
        patch.get_patch_transform().transform_path(patch.get_path()).transformed(axes.transData)
        for patch in axes.patches
        if not patch.get_fill()
    ]
    frame = axes.get_window_extent()
    found: list[tuple[float, float]] = []
    for shape in shapes:
        for (x0, y0), (x1, y1) in itertools.pairwise(np.asarray(shape.vertices, dtype=float)):
            count = min(int(max(abs(x1 - x0), abs(y1 - y0)) / (4 * scale)), _MOST_SAMPLES) + 2
            found += zip(np.linspace(x0, x1, count), np.linspace(y0, y1, count), strict=True)
    return [(x, y) for x, y in found if frame.contains(x, y)]


def _overlap(box: Any, other: Any) -> float:
    """The share of ``box`` that ``other`` covers."""
    width = min(box.x1, other.x1) - max(box.x0, other.x0)
    height = min(box.y1, other.y1) - max(box.y0, other.y0)
    return float(max(width, 0.0) * max(height, 0.0) / max(box.width * box.height, 1e-9))
