"""Results of attacks and analyses as they are read, and what the report makes of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from seglock.cli.attack import _print_results
from seglock.errors import ReportError
from seglock.report.leaderboard import leaderboard
from seglock.results.attack import AttackResult, read_attacks
from seglock.stages.report import write_report
from tests.report.conftest import DEMO
from tests.report.suites import (
    make_attack,
    make_proximity,
    make_searched,
    make_suite,
    make_trained,
    put,
)
from tests.report.test_page import check_self_contained, read_page

pytestmark = pytest.mark.usefixtures("sketched")

FIGURES = ("attack_shares.png", "attack_courses.png", "key_proximity.png")


@pytest.fixture
def project(make_project: Callable[..., Path]) -> Path:
    return make_project(DEMO, pictures=0)


def page_of(root: Path) -> str:
    return (root / "data/reports/report.html").read_text(encoding="utf-8")


def test_an_analysis_is_no_attack(tmp_path: Path) -> None:
    put(tmp_path, make_suite(["np-4"]))
    *attacks, analysis = read_attacks(tmp_path, ["np-4"])
    assert (analysis.attack, analysis.is_analysis) == ("key-proximity", True)
    assert not any(result.is_analysis for result in attacks)
    assert [point.changes for point in analysis.curve][:3] == [0, 1, 2]
    board = leaderboard([*attacks, analysis])
    assert board is not None
    assert set(board["attacks"]) == {result.attack for result in attacks}


def test_results_come_by_tier_then_by_lock(tmp_path: Path) -> None:
    put(tmp_path, make_suite(["shf-4", "np-4"]))
    results = read_attacks(tmp_path, ["shf-4", "np-4"])
    assert [result.tier for result in results] == sorted(result.tier for result in results)
    assert [r.lock for r in results if r.tier == "T2"] == ["shf-4", "np-4"]


def test_the_score_of_a_course_is_named(tmp_path: Path) -> None:
    put(tmp_path, [make_searched("unsupervised", "np-4"), make_searched("hill-climb", "np-4")])
    put(tmp_path, [make_attack("random-search", "T1", "np-4", course=[[8, 1.0]])])
    scores = {result.attack: result.score for result in read_attacks(tmp_path, ["np-4"])}
    assert scores == {
        "unsupervised": "signal", "hill-climb": "cross-entropy", "random-search": "score",
    }  # fmt: skip


@pytest.mark.parametrize(
    "damage",
    ["{", "[]", '{"attack": "finetune"}', json.dumps(make_attack("finetune", "T4", "np-4"))],
    ids=["no JSON", "no object", "fields missing", "unknown tier"],
)
def test_damaged_results_name_the_stage(tmp_path: Path, damage: str) -> None:
    put(tmp_path, make_suite(["np-4"]))
    (tmp_path / "data/attacks/np-4/finetune.json").write_text(damage)
    with pytest.raises(ReportError, match="dvc repro attack@np-4"):
        read_attacks(tmp_path, ["np-4"])


@pytest.mark.parametrize("made", [make_attack("plain", "T0", "np-4"), make_proximity("np-4")])
def test_results_of_another_lock_are_refused(tmp_path: Path, made: dict[str, Any]) -> None:
    put(tmp_path, [made])
    for path in (tmp_path / "data/attacks/np-4").glob("*.json"):
        path.write_text(path.read_text().replace("np-4", "shf-4"))
    with pytest.raises(ReportError, match="must be about lock np-4"):
        read_attacks(tmp_path, ["np-4"])


def test_the_report_shows_attacks_with_their_curves(project: Path) -> None:
    summary = write_report(put(project, make_suite(["shf-4", "np-4"])))
    folder = project / "data/reports"
    assert json.loads((folder / "leaderboard.json").read_text()) == summary["attacks"]
    page = read_page(project)
    check_self_contained(page)
    for name in FIGURES:
        assert (folder / name).stat().st_size > 0
    words = " ".join(page.text.split())
    assert "What labels buy" in words
    assert "What queries buy" in words
    assert "How nearly right a key must be" in words
    assert "plan above chance" in page_of(project)
    assert "these figures do not cover that" not in words


def test_the_terminal_tells_what_theft_has_beyond_scratch(
    capsys: pytest.CaptureFixture[str],
) -> None:
    _print_results([AttackResult.check(make_trained("finetune", "np-4", gain=-0.02))])
    told = capsys.readouterr().out
    assert "T1 on 220 images (50%): finetune has -0.0200 beyond training from scratch" in told


def test_which_attacks_met_a_refusal_is_told(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shares = {"plain": 1.0, "random-keys": 0.97, "bn-reestimate": 0.2}
    suite = [make_attack(name, "T0", "np-4", refused=share) for name, share in shares.items()]
    suite.append(make_attack("unsupervised", "T0", "np-4"))  # of an earlier version
    _print_results([AttackResult.check(one) for one in suite])
    assert "Refused on at least 50% of the images: plain, random-keys\n" in capsys.readouterr().out
    write_report(put(project, suite))
    for page in ("report.html", "leaderboard.html"):
        text = (project / "data/reports" / page).read_text()
        assert "; refused on 97% of the images" in text
        assert text.count("; refused on") == 3


def test_without_attacks_there_is_no_section(project: Path) -> None:
    summary = write_report(project)
    assert summary["attacks"] is None
    assert 'id="attacks"' not in page_of(project)
    written = {path.name for path in (project / "data/reports").iterdir()}
    assert not written & {"leaderboard.json", "leaderboard.html", *FIGURES}


def test_what_cannot_be_drawn_is_left_out(project: Path) -> None:
    write_report(put(project, [make_attack("plain", "T0", "np-4", unit="images")]))
    page = read_page(project)
    assert "attacks" in page.ids
    assert not any(name in page.text for name in ("What labels buy", "What queries buy"))
    assert not any((project / "data/reports" / name).exists() for name in FIGURES)


def test_an_analysis_alone_is_a_curve_and_no_table(project: Path) -> None:
    summary = write_report(put(project, [make_proximity("np-4")]))
    assert summary["attacks"] is None
    page = read_page(project)
    check_self_contained(page)
    assert "How nearly right a key must be" in page.text
    assert "leaderboard" not in page.ids


def test_names_of_attacks_stay_text(project: Path) -> None:
    odd = "<script>alert('x')</script> & $x_1$"
    suite = [
        make_trained("finetune", "np-4", scratch_miou=0.2),
        make_trained("hers", "np-4") | {"attack": odd, "unit": odd},
    ]
    put(project, suite[:1])
    (project / "data/attacks/np-4/odd.json").write_text(json.dumps(suite[1]))
    write_report(project)
    page = read_page(project)
    check_self_contained(page)
    assert odd in page.text
