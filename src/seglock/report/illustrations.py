"""Draw every figure of the page into a folder, in light and dark where that is small."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from seglock.report.attackcharts import (
    draw_courses,
    draw_proximity,
    draw_shares,
    with_changes,
    with_course,
    with_shares,
)
from seglock.report.charts import draw_access_control, draw_curves
from seglock.report.confusion import draw_confusion
from seglock.report.extremes import draw_extremes
from seglock.report.gallery import draw_predictions, draw_scene, draw_transforms
from seglock.report.lockfigure import draw_lock_figure
from seglock.report.locks import LockResult, representatives
from seglock.report.pareto import draw_pareto
from seglock.report.searchcharts import draw_hypervolume, draw_importances
from seglock.report.standingchart import draw_standings
from seglock.report.style import DARK, LIGHT
from seglock.results.attack import AttackResult
from seglock.results.study import Study
from seglock.steps import lock_text

# Noise does not compress: a dark copy of a large gallery would double the page for little.
_DARK_LIMIT = 400_000
_Figure = tuple[str, str, Callable[..., None]]


@dataclass(frozen=True)
class Illustration:
    """A figure for the page: its PNG files, what it shows in words, and its width in pixels."""

    alt: str
    width: int
    light: Path
    dark: Path | None


def illustrate(
    results: Sequence[LockResult],
    summary: Mapping[str, Any],
    folder: Path,
    study: Study | None = None,
    attacks: Sequence[AttackResult] = (),
) -> dict[str, Illustration]:
    """Draw all figures into ``folder`` as NAME.png; returns those there are, by name.

    summary: summary.json's. ``predictions``, ``predictions-2``, ...: the test images that were
    kept; ``predictions-all``: the first one and every lock, where the others show some; and of a
    lock ``lock-NAME``, ``confusion-NAME`` and ``extremes-NAME``, its worst and best images.
    """
    alt = "Mean IoU of each lock's owner and of the strongest thief of each tier"
    first: _Figure = "standings", alt, partial(draw_standings, summary)
    figures = [first, *_of_locks(results), *_of_attacks(results, attacks), *_of_study(study)]
    return {name: _draw(folder, name, alt, drawing) for name, alt, drawing in figures}


def _of_locks(results: Sequence[LockResult]) -> Iterator[_Figure]:
    first, shown = results[0].pictures, representatives(results)
    image = first.images[0] if len(first) else draw_scene(results[0].evaluation.image_side)
    yield (
        "access_control",
        "Mean IoU with the correct key, without a key and with incorrect keys, by method",
        partial(draw_access_control, results),
    )
    yield (
        "curves",
        "Validation mean IoU and losses over the epochs of training",
        partial(draw_curves, results),
    )
    yield (
        "transforms",
        "One image encrypted by each method at growing block sides",
        partial(draw_transforms, image),
    )
    for number, name in enumerate(results[0].ids):
        yield (
            f"predictions-{number + 1}" if number else "predictions",
            f"Test image {name}: input, ground truth and predictions under each access",
            partial(draw_predictions, shown, picture=number),
        )
    if results[0].ids and len(shown) < len(results):
        alt = "The first test image and every lock's predictions"
        yield "predictions-all", alt, partial(draw_predictions, results)
    for result in shown:
        if not result.evaluation.is_baseline:
            drawing = partial(draw_lock_figure, result.evaluation)
            yield f"lock-{result.lock}", f"Access to {lock_text(result.lock)}", drawing
        yield from _by_image_and_class(result)


def _by_image_and_class(result: LockResult) -> Iterator[_Figure]:
    scores, name = result.scores, lock_text(result.lock)
    accesses = {"Correct key": scores.correct, "Plain (no key)": scores.plain}
    matrices = {
        title: score.confusion for title, score in accesses.items() if score and score.confusion
    }
    if matrices:
        drawing = partial(draw_confusion, matrices, result.evaluation.classes)
        yield f"confusion-{result.lock}", f"Which class {name} takes for which", drawing
    if result.ranked:
        alt = f"The test images that the owner of {name} gets worst and best"
        yield f"extremes-{result.lock}", alt, partial(draw_extremes, result)


def _of_attacks(
    results: Sequence[LockResult], attacks: Sequence[AttackResult]
) -> Iterator[_Figure]:
    if trained := with_shares(attacks):
        alt = "Mean IoU of networks trained on growing shares of labelled images, by lock"
        yield "attack_shares", alt, partial(draw_shares, trained)
    if searched := with_course(attacks):
        steps = {result.lock: result.evaluation.steps for result in results}
        alt = "The best score of each search for the key over the queries spent"
        yield "attack_courses", alt, partial(draw_courses, searched, steps)
    if near := with_changes(attacks):
        alt = "Mean IoU of keys over their number of changes from the right one, by lock"
        yield "key_proximity", alt, partial(draw_proximity, near)


def _of_study(study: Study | None) -> Iterator[_Figure]:
    if study is None:
        return
    alt = "Every trial: mean IoU with the key over mean IoU without it, and the front"
    yield "pareto", alt, partial(draw_pareto, study)
    alt = "The hypervolume of the front after each trial"
    yield "hypervolume", alt, partial(draw_hypervolume, study)
    if study.importances:
        alt = "The share of each objective's variance that a parameter explains"
        yield "importances", alt, partial(draw_importances, study)


def _draw(folder: Path, name: str, alt: str, drawing: Callable[..., None]) -> Illustration:
    from PIL import Image

    light, dark = folder / f"{name}.png", folder / f"{name}.dark.png"
    drawing(light, theme=LIGHT)
    small = light.stat().st_size <= _DARK_LIMIT
    if small:
        drawing(dark, theme=DARK)
    with Image.open(light) as image:
        width = image.width
    return Illustration(alt=alt, width=width, light=light, dark=dark if small else None)
