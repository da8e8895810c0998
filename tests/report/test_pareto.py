"""The figures of a study: what is in them, that names do not cover each other, and the bytes."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure
from matplotlib.text import Annotation, Text
from PIL import Image

from seglock.report import style
from seglock.report.labels import Label, place_labels
from seglock.report.pareto import draw_pareto
from seglock.report.searchcharts import draw_hypervolume, draw_importances
from seglock.report.style import DARK, LIGHT, canvas
from seglock.results.study import Study
from tests.report.studies import FLOOR, THIEF, make_study


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Draw a study; the figure itself, just before it is written."""

    def draw(study: Study) -> Figure:
        kept: list[Figure] = []
        monkeypatch.setattr(style, "save", lambda figure, path: kept.append(figure))
        draw_pareto(study, tmp_path / "x.png")
        return kept[0]

    return draw


def curves(axes: Any, label: str) -> list[tuple[float, float]]:
    (line,) = [line for line in axes.lines if line.get_label() == label]
    return [(float(x), float(y)) for x, y in zip(*line.get_data(), strict=True)]


def notes(axes: Any) -> list[Annotation]:
    return [text for text in axes.texts if isinstance(text, Annotation)]


def test_the_front_is_a_step_line_through_its_trials(drawn: Any) -> None:
    study = Study.check(make_study())
    corners = curves(drawn(study).axes[0], "Front")
    for found in study.front_trials:
        assert (found.unauthorised, found.owner) in corners
    for (x0, y0), (x1, y1) in itertools.pairwise(corners):
        assert x0 == x1 or y0 == y1
        assert x1 >= x0
        assert y1 >= y0


def test_baseline_floor_and_the_chosen_lock_are_marked(drawn: Any) -> None:
    study = Study.check(make_study())
    axes = drawn(study).axes[0]
    assert {y for _, y in curves(axes, "Baseline (band: its 3 seeds)")} == {study.baseline.mean}
    assert {x for x, _ in curves(axes, "Floor (no model)")} == {FLOOR}
    chosen = study.trial(study.recommendation.trial)
    assert curves(axes, "Recommended") == [(chosen.unauthorised, chosen.owner_miou)]


def test_the_axis_says_whose_figure_it_is(drawn: Any) -> None:
    values = make_study()
    assert drawn(Study.check(values)).axes[0].get_xlabel().endswith("mean IoU without the key")
    values["about"] |= {"thief": THIEF | {"queries": 1, "seconds": 0.5}}
    label = drawn(Study.check(values)).axes[0].get_xlabel()
    assert label == "unauthorised: strongest attack up to T1, 1 query, 0.5 s each"


def test_what_is_shaded_is_what_the_limits_allow(drawn: Any) -> None:
    study = Study.check(make_study())
    axes = drawn(study).axes[0]
    (region,) = [p for p in axes.patches if str(p.get_label()).startswith("Within the limits")]
    path = region.get_path()
    limits, baseline = study.limits, study.baseline
    least = baseline.mean - limits.max_drop
    corner = (FLOOR + limits.max_regained * (least - FLOOR), least)
    assert any(tuple(map(float, vertex)) == pytest.approx(corner) for vertex in path.vertices)
    inside = 0
    for found in study.measured:
        trial = found.trial
        within = trial.drop <= study.limits.max_drop and trial.regained <= study.limits.max_regained
        point = (found.unauthorised, found.owner)
        assert bool(path.contains_point(point)) == within, trial.lock
        inside += within
    assert inside > 0


def test_beaten_locks_are_faint_and_hollow(drawn: Any) -> None:
    study = Study.check(make_study())
    axes = drawn(study).axes[0]
    for found in study.measured:
        place = (found.unauthorised, found.owner)
        (marker,) = [
            line
            for line in axes.lines
            if len(line.get_xdata()) == 1
            and (line.get_xdata()[0], line.get_ydata()[0]) == place
            and line.get_markersize() < 16
        ]
        is_front = found.trial.number in study.front
        assert (marker.get_alpha() == 1) == is_front
        assert (marker.get_markerfacecolor() != "none") == is_front


@pytest.mark.parametrize("count", [1, 6, 20])
def test_names_cover_neither_each_other_nor_the_frame(drawn: Any, count: int) -> None:
    figure = drawn(Study.check(make_study(count=count)))
    figure.draw_without_rendering()
    for axes in figure.axes:
        boxes = [(note.get_text(), Text.get_window_extent(note)) for note in notes(axes)]
        frame = axes.get_window_extent()
        for text, box in boxes:
            assert frame.x0 <= box.x0, text
            assert box.x1 <= frame.x1, text
            assert frame.y0 <= box.y0, text
            assert box.y1 <= frame.y1, text
        for (one, a), (other, b) in itertools.combinations(boxes, 2):
            assert not a.overlaps(b), (one, other)


def test_names_of_points_in_one_place_are_spread(tmp_path: Path) -> None:
    with canvas(tmp_path / "x.png", 5, 4, LIGHT) as figure:
        axes = figure.add_subplot()
        points = [(0.5 + 0.001 * step, 0.5) for step in range(6)]
        for x, y in points:
            axes.plot(x, y, "o")
        axes.set_xlim(0, 1)
        axes.set_ylim(0, 1)
        figure.draw_without_rendering()
        labels = [Label(f"np-4 (trial {step})", *place) for step, place in enumerate(points)]
        place_labels(axes, labels, points, LIGHT)
        figure.draw_without_rendering()
        boxes = [Text.get_window_extent(note) for note in notes(axes)]
    assert len(boxes) == 6
    for a, b in itertools.combinations(boxes, 2):
        assert not a.overlaps(b)


def test_every_lock_of_the_front_is_named_once(drawn: Any) -> None:
    study = Study.check(make_study())
    named = [note.get_text() for axes in drawn(study).axes for note in notes(axes)]
    assert sorted(named) == sorted(
        found.trial.lock.replace("_", "+") for found in study.front_trials
    )


def test_trials_of_one_lock_are_joined(drawn: Any) -> None:
    assert "One lock, several keys" not in [
        line.get_label() for line in drawn(Study.check(make_study())).axes[0].lines
    ]
    values = make_study()
    for number in (4, 6, 8):
        values["trials"][number] |= {"lock": "np-4", "steps": ["np-4"], "method": "np"}
    values["trials"][8] |= {"lr": 0.9}  # another recipe
    joined = curves(drawn(Study.check(values)).axes[0], "One lock, several keys")
    assert joined == [
        (values["trials"][number]["unauthorised"], values["trials"][number]["owner_miou"])
        for number in (1, 4, 6)
    ]


def test_only_voc_has_the_paper_s_points(drawn: Any) -> None:
    assert len(drawn(Study.check(make_study())).axes) == 2
    axes = drawn(Study.check(make_study(dataset="voc2012"))).axes
    assert len(axes) == 3
    hollow = [line for line in axes[-1].lines if len(line.get_xdata()) == 8]
    assert [len(line.get_xdata()) for line in hollow] == [8, 8, 8]
    assert (2.0, 0.6597) in zip(*hollow[0].get_data(), strict=True)


@pytest.mark.parametrize(
    ("advice", "label"),
    [
        ({"status": "undecided", "trial": 5}, "Candidate, undecided"),
        (
            {
                "status": "none",
                "trial": None,
                "lock": None,
                "steps": None,
                "nearest": {
                    "trial": 9,
                    "lock": "np-8",
                    "steps": ["np-8"],
                    "drop": 0.05,
                    "regained": 0.1,
                },
            },
            "Nearest to the limits",
        ),
    ],
)
def test_where_nothing_is_recommended_the_ring_says_so(
    drawn: Any, advice: dict[str, Any], label: str
) -> None:
    values = make_study()
    values["recommendation"] |= advice
    axes = drawn(Study.check(values)).axes[0]
    assert len(curves(axes, label)) == 1
    assert "Recommended" not in [line.get_label() for line in axes.lines]


@pytest.mark.parametrize("count", [0, 1, 2, 20])
def test_any_number_of_trials_is_drawn_and_repeats(tmp_path: Path, count: int) -> None:
    study = Study.check(make_study(count=count))
    for draw in (draw_pareto, draw_hypervolume, draw_importances):
        for name in ("a.png", "b.png"):
            draw(study, tmp_path / name)
        assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
        draw(study, tmp_path / "dark.png", theme=DARK)
        with Image.open(tmp_path / "dark.png") as image:
            assert image.getpixel((0, 0))[:3] == (0x16, 0x1B, 0x22)


def test_a_study_in_which_nothing_was_measured_is_drawn(tmp_path: Path) -> None:
    values = make_study(importances=None, importances_reason="needs two complete trials")
    for trial in values["trials"]:
        trial |= {"state": "failed", "owner_miou": None, "unauthorised": None}
    values |= {"front": [], "baselines": []}
    values["hypervolume"] = {
        name: {"reference": None, "values": []} for name in ("floor", "baseline")
    }
    values["recommendation"] |= {"status": "empty", "trial": None}
    study = Study.check(values)
    for draw in (draw_pareto, draw_hypervolume, draw_importances):
        draw(study, tmp_path / "x.png")
        with Image.open(tmp_path / "x.png") as image:
            image.load()
