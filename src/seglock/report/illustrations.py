"""Draw every figure of the page into a folder, in light and dark where that is small."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from seglock.report.attackcharts import with_changes, with_shares
from seglock.report.coursecharts import with_course
from seglock.report.figures import (
    draw_access_control,
    draw_courses,
    draw_curves,
    draw_hypervolume,
    draw_importances,
    draw_lock_figure,
    draw_pareto,
    draw_predictions,
    draw_proximity,
    draw_shares,
    draw_transforms,
)
from seglock.report.gallery import draw_scene
from seglock.report.locks import LockResult
from seglock.report.series import representatives
from seglock.report.style import DARK, LIGHT, Theme
from seglock.results.attack import Analysis, AttackResult
from seglock.results.study import Study

# Noise does not compress: a dark copy of a large gallery would double the page for little.
_DARK_LIMIT = 400_000


@dataclass(frozen=True)
class Illustration:
    """A figure for the page: its PNG files, what it shows in words, and its width in pixels."""

    alt: str
    width: int
    light: Path
    dark: Path | None

    @property
    def light_url(self) -> str:
        """The picture itself as a data: address."""
        return _data_url(self.light)

    @property
    def dark_url(self) -> str | None:
        """The picture for dark pages, if there is one."""
        return None if self.dark is None else _data_url(self.dark)


@dataclass(frozen=True)
class SearchIllustrations:
    """The figures of a trade-off search; no importances where nothing could be told."""

    pareto: Illustration
    hypervolume: Illustration
    importances: Illustration | None


@dataclass(frozen=True)
class AttackIllustrations:
    """The figures of attacks, each None where there is nothing to draw."""

    shares: Illustration | None
    courses: Illustration | None
    proximity: Illustration | None


@dataclass(frozen=True)
class Illustrations:
    """The figures of the page. ``predictions`` is empty where no test images were kept."""

    access_control: Illustration
    curves: Illustration
    transforms: Illustration
    predictions: tuple[Illustration, ...]
    every_lock: Illustration | None
    locks: tuple[tuple[str, Illustration], ...]
    from_test_image: bool
    attacks: AttackIllustrations
    search: SearchIllustrations | None = None


def illustrate(
    results: Sequence[LockResult],
    folder: Path,
    study: Study | None = None,
    attacks: Sequence[AttackResult] = (),
    analyses: Sequence[Analysis] = (),
) -> Illustrations:
    """Draw all figures into ``folder``: access_control.png, transforms.png, predictions.png, ..."""
    first = results[0].pictures
    shown = representatives(results)
    image = first.images[0] if len(first) else draw_scene(results[0].evaluation.image_side)

    def draw(name: str, alt: str, drawing: Callable[[Path, Theme], None]) -> Illustration:
        return _draw(folder, name, alt, drawing)

    predictions = [
        draw(
            "predictions" if number == 0 else f"predictions-{number + 1}",
            f"Test image {name}: input, ground truth and predictions under each access",
            lambda path, theme, i=number: draw_predictions(shown, path, picture=i, theme=theme),  # type: ignore[misc]
        )
        for number, name in enumerate(first.ids)
    ]
    every = None
    if len(first) and len(shown) < len(results):
        every = draw(
            "predictions-all",
            "The first test image and every lock's predictions",
            lambda path, theme: draw_predictions(results, path, theme=theme),
        )
    return Illustrations(
        access_control=draw(
            "access_control",
            "Mean IoU with the correct key, without a key and with incorrect keys, by method",
            lambda path, theme: draw_access_control(results, path, theme=theme),
        ),
        curves=draw(
            "curves",
            "Validation mean IoU and losses over the epochs of training",
            lambda path, theme: draw_curves(results, path, theme=theme),
        ),
        transforms=draw(
            "transforms",
            "One image encrypted by each method at growing block sides",
            lambda path, theme: draw_transforms(image, path, theme=theme),
        ),
        predictions=tuple(predictions),
        every_lock=every,
        locks=tuple(
            (result.lock, draw(f"lock-{result.lock}", f"Access to {result.lock}", _lock(result)))
            for result in shown
            if not result.evaluation.is_baseline
        ),
        from_test_image=bool(len(first)),
        attacks=_illustrate_attacks(results, attacks, analyses, folder),
        search=_illustrate_study(study, folder) if study else None,
    )


def _illustrate_attacks(
    results: Sequence[LockResult],
    attacks: Sequence[AttackResult],
    analyses: Sequence[Analysis],
    folder: Path,
) -> AttackIllustrations:
    steps = {result.lock: result.evaluation.steps for result in results}
    trained, searched, near = with_shares(attacks), with_course(attacks), with_changes(analyses)
    return AttackIllustrations(
        shares=_draw(
            folder,
            "attack_shares",
            "Mean IoU of networks trained on growing shares of labelled images, by lock",
            lambda path, theme: draw_shares(trained, path, theme=theme),
        )
        if trained
        else None,
        courses=_draw(
            folder,
            "attack_courses",
            "The best score of each search for the key over the queries spent",
            lambda path, theme: draw_courses(searched, steps, path, theme=theme),
        )
        if searched
        else None,
        proximity=_draw(
            folder,
            "key_proximity",
            "Mean IoU of keys over their number of changes from the right one, by lock",
            lambda path, theme: draw_proximity(near, path, theme=theme),
        )
        if near
        else None,
    )


def _illustrate_study(study: Study, folder: Path) -> SearchIllustrations:
    importances = None
    if study.importances:
        importances = _draw(
            folder,
            "importances",
            "The share of each objective's variance that a parameter explains",
            lambda path, theme: draw_importances(study, path, theme=theme),
        )
    return SearchIllustrations(
        pareto=_draw(
            folder,
            "pareto",
            "Every trial: mean IoU with the key over mean IoU without it, and the front",
            lambda path, theme: draw_pareto(study, path, theme=theme),
        ),
        hypervolume=_draw(
            folder,
            "hypervolume",
            "The hypervolume of the front after each trial",
            lambda path, theme: draw_hypervolume(study, path, theme=theme),
        ),
        importances=importances,
    )


def _lock(result: LockResult) -> Callable[[Path, Theme], None]:
    return lambda path, theme: draw_lock_figure(result.evaluation, path, theme=theme)


def _draw(
    folder: Path, name: str, alt: str, drawing: Callable[[Path, Theme], None]
) -> Illustration:
    from PIL import Image

    light, dark = folder / f"{name}.png", folder / f"{name}.dark.png"
    drawing(light, LIGHT)
    small = light.stat().st_size <= _DARK_LIMIT
    if small:
        drawing(dark, DARK)
    with Image.open(light) as image:
        width = image.width
    return Illustration(alt=alt, width=width, light=light, dark=dark if small else None)


def _data_url(path: Path) -> str:
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode()
