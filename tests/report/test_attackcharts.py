"""Figures of attacks say what the JSON says, for one lock and for many."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure
from PIL import Image

from seglock.report import style
from seglock.report.attackcharts import (
    count_axis,
    draw_courses,
    draw_proximity,
    draw_shares,
    with_changes,
    with_course,
    with_shares,
)
from seglock.report.style import DARK
from seglock.results.attack import AttackResult
from tests.report.suites import SHARES, make_attack, make_proximity, make_suite, make_trained

ALL = {
    f"{method}-{side}": [f"{method}-{side}"]
    for method in ("shf", "np", "ffx")
    for side in (2, 4, 8, 16, 32, 64, 128, 256)
}
COMBINED = {"np-4": ["np-4"], "np-4-f25": ["np-4-f25"], "np-4_shf-4": ["np-4", "shf-4"]}


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """The figures that were saved."""
    figures: list[Figure] = []
    save = style.save

    def keep(figure: Figure, path: Path) -> None:
        figures.append(figure)
        save(figure, path)

    monkeypatch.setattr(style, "save", keep)
    return figures


def attacks_on(locks: Sequence[str]) -> list[AttackResult]:
    values = [one for one in make_suite(locks) if one["tier"] != "analysis"]
    return [AttackResult.check(one) for one in values]


def analyses_of(locks: Sequence[str], **options: Any) -> list[AttackResult]:
    return [AttackResult.check(make_proximity(lock, **options)) for lock in locks]


def lines_of(axes: Any) -> list[list[tuple[float, float]]]:
    return [[tuple(point) for point in line.get_xydata()] for line in axes.lines]


def panels_of(figure: Figure) -> dict[str, Any]:
    return {axes.get_title(loc="left"): axes for axes in figure.axes}


def test_only_what_has_a_curve_is_drawn() -> None:
    results = attacks_on(["np-4"])
    assert {r.attack for r in with_shares(results)} == {
        "finetune",
        "stem-finetune",
        "block-adapter",
    }
    assert {r.attack for r in with_course(results)} == {
        "unsupervised", "random-search", "hill-climb", "gradient",
    }  # fmt: skip
    other = AttackResult.check(make_proximity("np-4") | {"curve": [{"miou": 0.4}]})
    assert with_changes([other]) == []


def test_shares_stand_beside_training_from_scratch(tmp_path: Path, drawn: list[Figure]) -> None:
    result = AttackResult.check(make_trained("finetune", "np-4", gain=0.2))
    draw_shares([result], tmp_path / "a.png")
    (axes,) = drawn[0].axes
    scratch, theft, *_ = lines_of(axes)
    assert [x for x, _ in theft] == pytest.approx([100 * round(s * 440) / 440 for s in SHARES])
    assert [y for _, y in theft] == [line.miou for line in result.curve if line.source == "theft"]
    assert [y for _, y in scratch] == pytest.approx([y - 0.2 for _, y in theft])
    assert {"finetune: stolen network", "The same from scratch", "Owner"} <= {
        text.get_text() for text in drawn[0].legends[0].get_texts()
    }


def test_proximity_has_its_band_the_owner_and_the_floor(
    tmp_path: Path, drawn: list[Figure]
) -> None:
    (found,) = analyses_of(["np-4"])
    draw_proximity([found], tmp_path / "a.png")
    (axes,) = drawn[0].axes
    mean, owner, floor = lines_of(axes)
    assert mean == [(point.changes, point.miou) for point in found.curve]
    assert {y for _, y in owner} == {found.correct}
    assert {y for _, y in floor} == {found.floor}
    (band,) = axes.collections
    heights = {round(y, 9) for _, y in band.get_paths()[0].vertices}
    assert {round(point.min or 0, 9) for point in found.curve} <= heights
    assert {round(point.max or 0, 9) for point in found.curve} <= heights


def test_courses_fall_to_the_end_of_the_attack(tmp_path: Path, drawn: list[Figure]) -> None:
    results = with_course(attacks_on(["np-4"]))
    draw_courses(results, {"np-4": ["np-4"]}, tmp_path / "a.png")
    *panels, legend = drawn[0].axes
    assert [axes.get_ylabel() for axes in panels] == [
        f"{result.attack}\n{result.score}" for result in results
    ]
    for axes, result in zip(panels, results, strict=True):
        ((*course, end),) = lines_of(axes)
        assert course == [tuple(point) for point in result.course]
        assert end == (result.queries, result.course[-1][1])
    assert [text.get_text() for text in legend.get_legend().get_texts()] == ["np-4"]


def test_an_attack_that_gained_nothing_after_its_first_guess_is_drawn(tmp_path: Path) -> None:
    values = make_attack("random-search", "T1", "np-4", course=[[1, 0.7]], queries=1)
    draw_courses([AttackResult.check(values)], {"np-4": ["np-4"]}, tmp_path / "a.png")


def test_one_share_and_one_change_are_drawn(tmp_path: Path) -> None:
    values = make_trained("finetune", "np-4")
    draw_shares([AttackResult.check(values | {"curve": values["curve"][:2]})], tmp_path / "a.png")
    for changes in ([0], [5]):
        draw_proximity(analyses_of(["np-4"], changes=changes), tmp_path / "b.png")


@pytest.mark.parametrize("locks", [["np-4"], list(COMBINED), list(ALL)], ids=len)
def test_every_lock_has_its_panel(locks: list[str], tmp_path: Path, drawn: list[Figure]) -> None:
    results = attacks_on(locks)
    draw_shares(with_shares(results), tmp_path / "shares.png")
    draw_proximity(analyses_of(locks), tmp_path / "proximity.png", theme=DARK)
    for figure in drawn:
        assert list(panels_of(figure)) == [lock.replace("_", "+") for lock in locks]
        for axes in figure.axes:
            labels = [one.get_text() for one in axes.get_xticklabels()]
            boxes = [one.get_window_extent() for one in axes.get_xticklabels() if one.get_visible()]
            assert len(set(labels)) == len(labels)
            assert all(a.x1 <= b.x0 for a, b in itertools.pairwise(boxes))
    for name in ("shares", "proximity"):
        with Image.open(tmp_path / f"{name}.png") as image:
            assert image.width < 2000


def test_courses_have_a_column_a_method_and_every_lock_once(
    tmp_path: Path, drawn: list[Figure]
) -> None:
    for locks, columns in ((ALL, ["SHF", "NP", "FFX"]), (COMBINED, ["NP", "Combinations"])):
        results = with_course(attacks_on(list(locks)))
        draw_courses(results, locks, tmp_path / "a.png")
        axes = drawn[-1].axes
        assert [one.get_title(loc="left") for one in axes][: len(columns)] == columns
        named = [
            text.get_text()
            for one in axes[-len(columns) :]
            for text in one.get_legend().get_texts()
        ]
        assert sorted(named) == sorted(lock.replace("_", "+") for lock in locks)
        assert sum(len(one.lines) for one in axes) == 4 * len(locks)


def test_figures_are_the_same_bytes_again(tmp_path: Path) -> None:
    results = attacks_on(list(COMBINED))
    for name in ("a", "b"):
        draw_shares(with_shares(results), tmp_path / f"shares-{name}")
        draw_courses(with_course(results), COMBINED, tmp_path / f"courses-{name}")
    for kind in ("shares", "courses"):
        assert (tmp_path / f"{kind}-a").read_bytes() == (tmp_path / f"{kind}-b").read_bytes()


@given(st.floats(-0.15, 50), st.integers(0, 10**7))
def test_an_axis_of_counts_has_plain_ticks_within_it(least: float, most: int) -> None:
    axes = Figure().add_subplot()
    count_axis(axes, least, most)
    ticks = axes.get_xticks()
    labels = [one.get_text() for one in axes.get_xticklabels()]
    assert all(least <= tick <= most for tick in ticks)
    assert len(set(labels)) == len(ticks) <= 9
    assert not any("$" in label for label in labels)
    assert math.isclose(axes.get_xlim()[1], 1.25 * max(most, 1))
