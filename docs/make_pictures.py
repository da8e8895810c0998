"""Draw docs/picture.png, the picture of README's first screen, and those of docs/concepts, from a
finished `make demo`.

    python docs/make_pictures.py [LOCK] [--picture N]

docs/picture.png, upper row: a test image, and what encrypting makes of it (with the public
demonstration key). Lower row: the ground truth, and the lock's predictions with its key, without
one, and with a wrong one. Without results the lower row is left out, the image is a synthetic one,
and of docs/concepts the methods alone are drawn.
"""

from __future__ import annotations

import argparse
import io
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from seglock.config import load_params
from seglock.report import LockResult, read_results
from seglock.report.gallery import (
    TILE,
    add_note,
    add_row,
    as_picture,
    demonstrate,
    draw_predictions,
    draw_scene,
    draw_transforms,
    figure_size,
    row_width,
    show,
    tile_dpi,
)
from seglock.report.lockfigure import draw_lock_figure
from seglock.report.style import LIGHT, canvas, colour_mask

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "docs" / "picture.png"
CONCEPTS = ROOT / "docs" / "concepts"
REFUSING = "np-8-refuse"
LARGEST = 300 << 10
BLOCK = 4
SIDE = 64


def read_lock(root: Path, lock: str) -> LockResult | None:
    """The lock's results, or None before it was evaluated."""
    if not (root / "data" / "evaluations" / lock / "evaluation.json").exists():
        return None
    steps = tuple(load_params(root / "params.yaml").locks[lock].steps)
    return read_results(root, {lock: steps})[0]


def draw(result: LockResult | None, picture: int) -> None:
    """Write the picture."""
    image = result.pictures.images[picture] if result else draw_scene(SIDE)
    left, top, pitch, dpi = 0.08, 0.5, TILE + 0.82, tile_dpi(image.shape[-1])
    size = figure_size(left * 2 + row_width(4), pitch * (2 if result else 1) + 0.12, dpi)
    with canvas(OUT, *size, LIGHT, dpi=dpi, layout=None) as figure:
        upper = add_row(figure, left, top, 4)
        show(upper[0], as_picture(image), "Image")
        for axes, method in zip(upper[1:], ("shf", "np", "ffx"), strict=True):
            encrypted = demonstrate(image, [f"{method}-{BLOCK}"])
            show(axes, as_picture(encrypted), f"{method.upper()}, blocks of {BLOCK}")
        figure.suptitle(
            "A key decides how images are encrypted, block by block",
            x=left / size[0],
            y=1 - 0.05 / size[1],
            ha="left",
            va="top",
            fontsize=11,
            fontweight="bold",
        )
        if result:
            draw_answers(add_row(figure, left, top + pitch, 4), result, picture)
            figure.text(
                left / size[0],
                1 - (pitch + 0.05) / size[1],
                f"A model trained so ({result.lock}) works well with the right key only",
                ha="left",
                va="top",
                fontsize=11,
                fontweight="bold",
            )
        note = "Encrypted pictures: demonstration key"
        add_note(figure, note + (". Numbers: mean IoU" if result else ""), LIGHT.faint)


def draw_answers(row: list[Axes], result: LockResult, picture: int) -> None:
    """Ground truth and predictions, with the test split's mean IoU below."""
    pictures, scores = result.pictures, result.evaluation.scores
    assert pictures.correct is not None
    assert pictures.incorrect is not None
    assert scores.correct
    assert scores.incorrect
    show(row[0], colour_mask(pictures.target[picture]), "Ground truth")
    show(row[1], colour_mask(pictures.correct[picture]), "Right key", scores.correct.miou)
    show(row[2], colour_mask(pictures.plain[picture]), "No key", scores.plain.miou)
    show(row[3], colour_mask(pictures.incorrect[picture]), "Wrong key", scores.incorrect.mean)


def draw_concepts(root: Path, result: LockResult | None, picture: int) -> list[Path]:
    """What method, floor and refusal mean; returns the files."""
    CONCEPTS.mkdir(exist_ok=True)
    methods, floor, refusal = (CONCEPTS / f"{name}.png" for name in ("methods", "floor", "refusal"))
    draw_transforms(result.pictures.images[picture] if result else draw_scene(SIDE), methods)
    methods.write_bytes(small(methods.read_bytes()))
    refusing = read_lock(root, REFUSING)
    if result is None or refusing is None:
        return [methods]
    draw_lock_figure(result.evaluation, floor)
    draw_predictions([result, refusing], refusal, picture=picture)
    return [methods, floor, refusal]


def small(png: bytes) -> bytes:
    """The same picture in 256 colours, which is a third of the bytes."""
    from PIL import Image

    with io.BytesIO() as out:
        Image.open(io.BytesIO(png)).convert("RGB").quantize(256).save(out, "PNG", optimize=True)
        return out.getvalue()


def main() -> None:
    """Draw, and refuse a picture that is too large for a page."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0] if __doc__ else None)
    parser.add_argument("lock", nargs="?", default="shf-4")
    parser.add_argument("--picture", type=int, default=0, help="which of the kept test images")
    parser.add_argument("--root", type=Path, default=ROOT, help="the project with the results")
    arguments = parser.parse_args()
    result = read_lock(arguments.root, arguments.lock)
    draw(result, arguments.picture)
    for path in (OUT, *draw_concepts(arguments.root, result, arguments.picture)):
        if path.stat().st_size > LARGEST:
            sys.exit(f"{path} must be at most {LARGEST} bytes, got {path.stat().st_size}")
    what = "both rows" if result else "the upper row alone: run `make demo` for the lower one"
    sys.stdout.write(f"wrote {OUT}, {OUT.stat().st_size} bytes, {what}\n")


if __name__ == "__main__":
    main()
