"""Figures of images: the transforms like the paper's Fig. 4, predictions like its Fig. 5.

Square pictures stand in rows, every image pixel shown as a whole number of dots. Encrypted images
are made here, with the public demonstration key only: an image encrypted under a lock's key, beside
its plain one, would give the lock's plan away.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seglock.errors import ReportError
from seglock.methods import METHODS
from seglock.report.locks import LockResult, baseline_of
from seglock.report.style import CORRECT, LIGHT, PLAIN, Theme, canvas, colour_mask, palette
from seglock.results.pictures import VOID
from seglock.steps import image_steps, lock_text

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

BLOCK_SIDES = (2, 4, 8, 16)
TILE = 1.5  # inches
GAP = 0.09
_DOTS = 240
_MOST_DOTS = 512
_KEY_NOTE = "Encrypted pictures: demonstration key"
ACCESSES = {"correct": CORRECT.label, "plain": PLAIN.label, "incorrect": "Incorrect key"}
_LEGEND_ROWS = 8
_LEGEND_WIDTH = 14


def demonstrate(image: NDArray[np.uint8], steps: Sequence[str]) -> NDArray[np.float32]:
    """Encrypt one image (3, H, W) uint8 with the demonstration key, for showing.

    Returns (3, H, W) float32 in 0..1: values divided by the method's maximum (paper, section 2.4).
    """
    import numpy as np

    from seglock.keys import demonstration_key
    from seglock.transforms import compose

    transform = compose(image_steps(steps), key=demonstration_key())
    encrypted = np.asarray(transform.encrypt(image[None]))[0]
    shown: NDArray[np.float32] = (encrypted / transform.max_value).astype(np.float32)
    return shown


def block_sides(height: int, width: int) -> list[int]:
    """The block sides of Fig. 4 that fit an image, the whole image last.

    >>> block_sides(64, 64), block_sides(8, 8)
    ([2, 4, 8, 16, 64], [2, 4, 8])
    """
    if height != width:
        raise ReportError("the image must be square", got=f"{width}x{height}", fix="crop it first")
    return [m for m in BLOCK_SIDES if m < height and height % m == 0] + [height]


def draw_transforms(image: NDArray[np.uint8], path: Path, *, theme: Theme = LIGHT) -> None:
    """Draw one image (3, S, S) uint8 under every method at M = 2, 4, 8, 16 and S (paper, Fig. 4).

    Made with the demonstration key. Writes a PNG to ``path``.
    """
    sides = block_sides(*image.shape[1:])
    left, top, dpi = TILE + 0.5, 0.5, tile_dpi(image.shape[1])
    height = top + len(METHODS) * (TILE + GAP) + 0.2
    size = figure_size(left + row_width(len(sides)) + 0.08, height, dpi)
    with canvas(path, *size, theme, dpi=dpi, layout=None) as figure:
        show(add_tile(figure, 0.08, top), as_picture(image), "Original\n")
        for place, method in enumerate(METHODS):
            row = add_row(figure, left, top + place * (TILE + GAP), len(sides))
            row[0].set_ylabel(method.upper(), fontsize=11, fontweight="bold", labelpad=6)
            for axes, side in zip(row, sides, strict=True):
                whole = "\n(whole image)" if side == image.shape[1] else "\n"
                title = f"M = {side}{whole}" if place == 0 else ""
                show(axes, as_picture(demonstrate(image, [f"{method}-{side}"])), title)
        add_note(figure, _KEY_NOTE, theme.faint)


def draw_predictions(
    results: Sequence[LockResult], path: Path, *, picture: int = 0, theme: Theme = LIGHT
) -> None:
    """Draw one test image and what each model makes of it (paper, Fig. 5) as a PNG.

    First row: input, ground truth, the baseline's prediction, the classes. Then a row for each
    lock: the input encrypted with the demonstration key, and the predictions with the correct key,
    without one, and with an incorrect one. Below each prediction is its per-image mean IoU.
    """
    baseline = baseline_of(results)
    locked = [result for result in results if not result.evaluation.is_baseline]
    source = (baseline or locked[0]).pictures
    left, top, pitch = 0.42, 0.3, TILE + 0.3
    dpi = tile_dpi(source.images.shape[-1])
    height = pitch * (len(locked) + 1) + (2 * top + 0.15 if locked else top)
    size = figure_size(left + row_width(4) + 0.08, height, dpi)
    with canvas(path, *size, theme, dpi=dpi, layout=None) as figure:
        first = add_row(figure, left, top, 4)
        show(first[0], as_picture(source.images[picture]), "Input")
        show(first[1], colour_mask(source.target[picture]), "Ground truth")
        if baseline:
            score = baseline.picture_score(picture).plain
            show(first[2], colour_mask(baseline.pictures.plain[picture]), "Baseline", score)
        _class_legend(first[3], results, picture)
        for place, result in enumerate(locked):
            row = add_row(figure, left, 2 * top + pitch * (place + 1), 4)
            _fill_row(row, result, picture, titled=place == 0)
        if locked:
            add_note(figure, _KEY_NOTE, theme.faint)


def _fill_row(row: Sequence[Axes], result: LockResult, picture: int, *, titled: bool) -> None:
    pictures, score = result.pictures, result.picture_score(picture)
    row[0].set_ylabel(lock_text(result.lock), fontsize=10, fontweight="bold", labelpad=6)
    encrypted = demonstrate(pictures.images[picture], result.evaluation.steps)
    show(row[0], as_picture(encrypted), "Encrypted" if titled else "")
    for axes, (access, title) in zip(row[1:], ACCESSES.items(), strict=True):
        if (masks := getattr(pictures, access)) is not None:
            coloured = colour_mask(masks[picture])
            show(axes, coloured, title if titled else "", getattr(score, access))


def _class_legend(axes: Axes, results: Sequence[LockResult], picture: int) -> None:
    """List the classes of one picture's masks, the largest first, in the colours of the masks."""
    import numpy as np
    from matplotlib.patches import Patch

    count = np.zeros(256, dtype=np.int64)
    for result in results:
        pictures = result.pictures
        for masks in (pictures.target, pictures.plain, pictures.correct, pictures.incorrect):
            if masks is not None:
                count += np.bincount(masks[picture].ravel(), minlength=256)
    classes = results[0].evaluation.classes
    ranked = [int(i) for i in np.argsort(-count, kind="stable") if count[i]]
    shown = ranked if len(ranked) <= _LEGEND_ROWS else ranked[: _LEGEND_ROWS - 1]
    ink, colours = axes.xaxis.label.get_color(), palette()
    entries = [
        Patch(
            facecolor="#{:02x}{:02x}{:02x}".format(*colours[index]),
            edgecolor=ink,
            linewidth=0.4,
            label="void" if index == VOID else _short(classes[index]),
        )
        for index in shown
    ]
    if len(shown) < len(ranked):
        entries.append(Patch(facecolor="none", label=f"{len(ranked) - len(shown)} more"))
    axes.legend(
        handles=entries,
        loc="upper left",
        bbox_to_anchor=(-0.02, 1.04),
        fontsize=8,
        handlelength=1.1,
        handleheight=1.1,
        labelspacing=0.35,
        borderpad=0,
    )


def _short(name: str) -> str:
    return name if len(name) <= _LEGEND_WIDTH else name[: _LEGEND_WIDTH - 1] + "…"


def draw_scene(side: int) -> NDArray[np.uint8]:
    """An image of the synthetic set, (3, side, side) uint8, for when there is no other."""
    import numpy as np

    from seglock.config import SyntheticParams
    from seglock.data.synthetic import generate

    params = SyntheticParams(train=1, test=1, side=max(side, 16), classes=7, seed=3)
    images, _ = next(generate(params, 1))
    scene: NDArray[np.uint8] = np.ascontiguousarray(images[0, :side, :side].transpose(2, 0, 1))
    return scene


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
