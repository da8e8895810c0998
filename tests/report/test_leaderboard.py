"""The leaderboard: its ranking, its marks, its page."""

from __future__ import annotations

import json
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seglock.errors import ReportError
from seglock.report.leaderboard import leaderboard
from seglock.report.numbers import NOTHING
from seglock.report.templating import render
from seglock.results.attack import TIERS, AttackResult
from seglock.stages.report import write_report
from tests.report.conftest import DEMO, write_project, write_sketch
from tests.report.suites import FLOOR, make_attack, make_proximity, make_trained, put
from tests.report.test_page import Page

pytestmark = pytest.mark.usefixtures("sketched")

Make = Callable[..., Path]


def results_of(*values: dict[str, Any]) -> list[AttackResult]:
    return [AttackResult.check(one) for one in values]


def board_of(*values: dict[str, Any]) -> dict[str, Any]:
    board = leaderboard(results_of(*values))
    assert board is not None
    return board


SUITE = (
    make_attack("finetune", "T1", "shf-4", miou=0.05),
    make_attack("finetune", "T1", "np-4", miou=0.5, scratch_miou=0.2),
    make_attack("hill-climb", "T1", "np-4", miou=0.3, plan_found=False),
    make_attack("ciphertext-only", "T2", "np-4", miou=0.7),
)


class Board(HTMLParser):
    """The rows of the leaderboard's table: the lock of each, and its cells' classes and texts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.rows: dict[str, list[tuple[str, str]]] = {}
        self._lock: str | None = None
        self._is_here = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = {name: value or "" for name, value in attrs}
        if tag == "table":
            self._is_here = named.get("id") == "leaderboard"
        if tag == "tr":
            self._lock = named.get("data-lock") if self._is_here else None
            if self._lock is not None:
                self.rows[self._lock] = []
        if tag in ("td", "th") and self._lock is not None:
            self.rows[self._lock].append((named.get("class", ""), ""))

    def handle_endtag(self, tag: str) -> None:
        if tag == "tr":
            self._lock = None

    def handle_data(self, data: str) -> None:
        if self._lock is not None and self.rows[self._lock]:
            kind, text = self.rows[self._lock][-1]
            self.rows[self._lock][-1] = (kind, f"{text} {data.strip()}".strip())


def read_board(root: Path) -> Board:
    return Board((root / "data/reports/leaderboard.html").read_text(encoding="utf-8"))


def test_the_best_attack_of_each_tier_stands_for_it() -> None:
    board = board_of(*SUITE)
    np4 = board["locks"]["np-4"]
    assert {tier: best["attack"] for tier, best in np4["tiers"].items()} == {
        "T1": "finetune", "T2": "ciphertext-only",
    }  # fmt: skip
    assert np4["strongest"] == "ciphertext-only"
    assert board["attacks"] == {
        "finetune": "T1", "hill-climb": "T1", "ciphertext-only": "T2",
    }  # fmt: skip
    assert np4["attacks"]["finetune"]["budget"] == SUITE[1]["budget"]
    assert "curve" not in np4["attacks"]["finetune"]


@given(
    st.dictionaries(
        st.sampled_from(["a", "b", "c", "d"]),
        st.dictionaries(
            st.sampled_from(["w", "x", "y", "z"]), st.floats(0, 1), min_size=1, max_size=4
        ),
        min_size=1,
    ),
)
def test_locks_are_ranked_by_their_strongest_attack(scores: dict[str, dict[str, float]]) -> None:
    tiers = dict(zip("wxyz", TIERS, strict=True))
    board = board_of(
        *(
            make_attack(attack, tiers[attack], lock, miou=miou)
            for lock, own in scores.items()
            for attack, miou in own.items()
        )
    )
    assert sorted(board["ranking"]) == sorted(scores)
    for lock, found in board["locks"].items():
        assert scores[lock][found["strongest"]] == max(scores[lock].values())
    order = [
        round(board["locks"][lock]["attacks"][board["locks"][lock]["strongest"]]["regained"], 4)
        for lock in board["ranking"]
    ]
    assert order == sorted(order)


def test_of_equals_the_attack_of_the_first_tier_is_the_strongest() -> None:
    board = board_of(
        make_attack("ciphertext-only", "T2", "np-4", miou=0.7),
        make_attack("chosen-plaintext", "T3", "np-4", miou=0.7),
    )
    assert board["locks"]["np-4"]["strongest"] == "ciphertext-only"


def test_what_looks_the_same_is_ranked_by_the_other_tiers() -> None:
    whole = [make_attack("chosen-plaintext", "T3", lock, miou=0.7) for lock in ("a", "b", "c")]
    rest = [
        make_attack("plain", "T0", lock, miou=m)
        for lock, m in {"a": 0.5, "b": 0.3, "c": 0.4}.items()
    ]
    board = board_of(*whole, *rest)
    assert (board["ranking"], board["places"]) == (["b", "c", "a"], {})
    assert board_of(*rest)["places"] == {"b": 1, "c": 2, "a": 3}
    same = [make_attack("plain", "T0", lock, miou=0.3) for lock in ("a", "b")]
    worse = make_attack("plain", "T0", "c", miou=0.31)
    assert board_of(*same, worse)["places"] == {"a": 1, "b": 1, "c": 3}


def test_a_lock_that_gives_its_owner_nothing_comes_last() -> None:
    nothing = make_attack("plain", "T0", "none", miou=0.1, correct=FLOOR)
    assert nothing["regained"] is None
    assert board_of(nothing, make_attack("plain", "T0", "open", miou=0.7))["ranking"] == [
        "open", "none",
    ]  # fmt: skip


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A rendered project with attacks on two of its locks, and analyses of two."""
    root = write_project(tmp_path_factory.mktemp("board"), DEMO, pictures=0)
    return write_sketch(put(root, [*SUITE, make_proximity("np-4"), make_proximity("ffx-4")]))


def test_the_page_ranks_marks_and_tells_what_was_spent(written: Path) -> None:
    rows = read_board(written).rows
    assert list(rows) == ["shf-4", "np-4", "baseline", "ffx-4"]
    cells = rows["np-4"]
    assert [text.split()[0] for _, text in cells[:3]] == ["np-4", "0.7000", "0.1100"]
    assert cells[0][1] == "np-4 broken: bits"
    assert rows["shf-4"][0][1].startswith("1. shf-4")
    assert cells[3][1] == "1.0000 ciphertext-only T2"
    assert cells[4] == ("beyond", NOTHING)
    finetune, climb, ciphertext = cells[5:]
    assert finetune == (
        "result best", "0.6610 △ 0.5000 1500/2000 keys 12.3/30 s up to 50% labelled",
    )  # fmt: skip
    assert climb[0] == "result"
    assert ciphertext == ("result strongest best", "1.0000 ▲ 0.7000 1500/2000 keys 12.3/30 s")
    assert rows["shf-4"][6][1] == NOTHING
    assert rows["baseline"][-1][1] == "no lock: plain images are the right ones"
    assert rows["ffx-4"][-1][1] == "not attacked"
    base = json.loads((written / "data/reports/summary.json").read_text())["locks"]["baseline"]
    assert rows["baseline"][1][1] == f"{base['owner_miou']:.4f}"


def test_what_theft_saves_stands_beside_what_it_regained(make_project: Make) -> None:
    root = make_project(DEMO, pictures=0)
    trained = make_trained("finetune", "np-4", gain=0.0123)
    summary = write_report(put(root, [trained, make_attack("plain", "T0", "shf-4")]))
    lines = summary["attacks"]["locks"]["np-4"]["beyond_scratch"]
    assert [line["labelled"] for line in lines] == [4, 22, 44, 110, 220]
    assert all(line["beyond"] == pytest.approx(0.0123) for line in lines)
    cell = read_board(root).rows["np-4"][4][1]
    last = lines[-1]
    assert f"+0.0123 ({last['regained']:.4f}) finetune 220 images (50%)" in cell
    assert read_board(root).rows["shf-4"][4][1] == NOTHING
    report = (root / "data/reports/report.html").read_text(encoding="utf-8")
    assert report.count("<td>220 images (50%)</td><td>finetune</td>") == 1
    assert f'>{last["scratch_miou"]:.4f}</td><td class="number">+0.0123</td>' in report


def test_the_page_needs_no_network_and_says_what_a_failure_is(written: Path) -> None:
    text = (written / "data/reports/leaderboard.html").read_text(encoding="utf-8")
    page = Page(text)
    assert "default-src 'none'" in text
    assert not {"script", "link", "img", "iframe"} & set(page.tags)
    assert {address for _, _, address in page.addresses} == {"report.html"}
    assert "url(" not in text
    assert "A failure is a failure within its budget, never proof." in page.text
    report = Page((written / "data/reports/report.html").read_text(encoding="utf-8"))
    assert ("a", "href", "leaderboard.html") in report.addresses


def test_an_analysis_is_in_no_cell(written: Path) -> None:
    folder = written / "data/reports"
    for name in ("leaderboard.html", "leaderboard.json"):
        assert "proximity" not in (folder / name).read_text(encoding="utf-8")
    assert (folder / "key_proximity.png").exists()


def test_names_stay_text(make_project: Make) -> None:
    odd = "<script>alert('x')</script> & {{ 7 * 7 }}"
    root = make_project(DEMO, pictures=0, dataset=odd)
    put(root, SUITE)
    path = root / "data/attacks/np-4/finetune.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"attack": odd, "unit": odd}))
    summary = write_report(root)
    page = Page(render("leaderboard.html", summary=summary))
    assert "script" not in page.tags
    assert page.text.count(odd) > 3


@pytest.mark.parametrize("field", ["budget", "queries", "seconds"])
def test_an_attack_that_does_not_say_what_it_spent_is_damaged(field: str) -> None:
    values = make_attack("plain", "T0", "np-4")
    del values[field]
    with pytest.raises(ReportError, match=field):
        AttackResult.check(values)
