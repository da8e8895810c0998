"""The page: whole, well-formed, self-contained, and true to the JSON."""

from __future__ import annotations

import base64
import io
import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from seglock.methods import METHODS
from seglock.report import read_results
from seglock.report.charts import draw_access_control, draw_curves
from seglock.report.gallery import draw_predictions
from seglock.report.numbers import NOTHING
from seglock.stages.report import write_report

Make = Callable[..., Path]
VOID = {"meta", "img", "source", "link", "br", "hr", "input"}
ODD = "<script>alert('x')</script> & \"quotes\" $x_1$ {{ 7 * 7 }}"


class Page(HTMLParser):
    """Checks nesting while reading, and keeps tags, addresses and the headline table's cells."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.addresses: list[tuple[str, str, str]] = []
        self.ids: list[str] = []
        self.cells: dict[tuple[str, str], str] = {}
        self.text = ""
        self._lock = ""
        self._cell: tuple[str, str] | None = None
        self.feed(text)
        self.close()
        assert self.open == [], f"never closed: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        assert len(named) == len(attrs), f"an attribute twice in {tag}"
        self.tags.append(tag)
        for name in ("src", "href", "srcset", "data", "action", "poster"):
            if named.get(name) is not None:
                self.addresses.append((tag, name, str(named[name])))
        if named.get("id"):
            self.ids.append(str(named["id"]))
        self._lock = named.get("data-lock") or self._lock
        if tag == "td":
            key = named.get("data-key")
            self._cell = (self._lock, key) if key else None
            if named.get("data-cell"):
                self._cell = ("table1", str(named["data-cell"]))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open[-1:] == [tag], f"</{tag}> inside {self.open[-3:]}"
        self.open.pop()
        if tag == "td":
            self._cell = None

    def handle_data(self, data: str) -> None:
        self.text += data
        if self._cell:
            self.cells[self._cell] = self.cells.get(self._cell, "") + data.strip()


def read_page(root: Path) -> Page:
    return Page((root / "data/reports/report.html").read_text(encoding="utf-8"))


def check_self_contained(page: Page) -> None:
    assert "script" not in page.tags
    assert not {"link", "iframe", "object", "embed", "form", "base"} & set(page.tags)
    for tag, name, address in page.addresses:
        if tag == "a" and name == "href":
            inside = address.startswith("#") and address[1:] in page.ids
            assert (
                inside
                or address in ("pareto.html", "leaderboard.html")
                or address.startswith("http://127.0.0.1:5000/#/runs/")
            )
        else:
            assert address.startswith("data:image/png;base64,"), (tag, name, address[:60])


def test_the_page_is_well_formed_and_needs_no_network(demo: Path) -> None:
    text = (demo / "data/reports/report.html").read_text()
    page = Page(text)
    assert text.startswith("<!DOCTYPE html>")
    assert len(page.ids) == len(set(page.ids))
    assert sum(tag == "img" for tag in page.tags) == 4 + 1 + 3 + 1
    check_self_contained(page)
    style = text.split("<style>")[1].split("</style>")[0]
    assert "url(" not in style
    assert "@import" not in style


def test_every_picture_in_the_page_can_be_opened(demo: Path) -> None:
    for _, _, address in read_page(demo).addresses:
        if address.startswith("data:"):
            with Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2]))) as image:
                image.load()


def test_every_number_of_the_headline_table_is_the_json_s(demo: Path) -> None:
    page = read_page(demo)
    for lock in ("baseline", "shf-4", "np-4", "ffx-4"):
        path = demo / "data/evaluations" / lock / "evaluation.json"
        values: dict[str, Any] = json.loads(path.read_text())
        scores = values["scores"]
        incorrect = scores["incorrect"]
        expected = {
            "owner_miou": scores["owner_miou"],
            "plain": scores["plain"]["miou"],
            "plain_bn": scores["plain_bn"] and scores["plain_bn"]["miou"],
            "incorrect_p95": incorrect and incorrect["p95"],
            "incorrect_max": incorrect and incorrect["max"],
            "refused": scores["refused"],
            "unauthorised": scores["unauthorised"],
            "regained": scores["regained"],
            "floor_constant": scores["floors"]["constant"],
            "floor_prior": scores["floors"]["prior"],
        }
        for key, value in expected.items():
            assert page.cells[lock, key] == (NOTHING if value is None else f"{value:.4f}"), (
                lock,
                key,
            )
        if incorrect:
            text = f"{incorrect['mean']:.4f} ± {incorrect['std']:.4f}"
            assert page.cells[lock, "incorrect_mean"] == text
            method = values["method"]
            assert page.cells["table1", f"ours-{method}-4"] == f"{scores['owner_miou']:.4f}"
            assert page.cells["table1", f"ours-{method}-8"] == NOTHING


def test_both_floors_are_the_table_s_footer(demo: Path) -> None:
    page = read_page(demo)
    path = demo / "data/evaluations/baseline/evaluation.json"
    scores = json.loads(path.read_text())["scores"]
    assert page.cells["table1", "ours-Baseline"] == f"{scores['owner_miou']:.4f}"
    for name in ("constant", "prior"):
        assert page.cells["table1", f"ours-Floor, {name}"] == f"{scores['floors'][name]:.4f}"


@pytest.mark.usefixtures("sketched")
def test_a_fourth_method_needs_no_change_here(
    make_project: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(METHODS, "inv", METHODS["np"])
    root = make_project({"baseline": [], "inv-4": ["inv-4"], "np-4": ["np-4"]}, pictures=1)
    write_report(root)
    page = read_page(root)
    check_self_contained(page)
    assert page.cells["table1", "ours-inv-4"] == page.cells["inv-4", "owner_miou"]
    text = (root / "data/reports/report.html").read_text(encoding="utf-8")
    table = text.split('id="table1">')[1].split("</table>")[0]
    rows = [re.findall(r"<t[hd]([^>]*)>", row) for row in table.split("<tr>")[1:]]
    widths = [
        sum(int((re.findall(r'colspan="(\d+)"', cell) or ["1"])[0]) for cell in row) for row in rows
    ]
    assert widths == [8, 7, *[8] * 8, *[8] * 3]


def test_runs_are_linked_and_named_in_the_footer(demo: Path) -> None:
    page = read_page(demo)
    for lock in ("baseline", "shf-4"):
        path = demo / "data/evaluations" / lock / "evaluation.json"
        run = json.loads(path.read_text())["run_id"]
        assert ("a", "href", f"http://127.0.0.1:5000/#/runs/{run}") in page.addresses
        assert run in page.text


def test_the_page_says_what_a_reader_must_know(demo: Path) -> None:
    words = " ".join(read_page(demo).text.split())
    for phrase in (
        "demonstration key",
        "not cryptographic secrecy",
        "can give the whole plan away",
        "NP at M = 2 has 924 masks",
        "absolute values cannot be compared",
        "can be searched",
        "dddddddd",
    ):
        assert phrase in words


@pytest.mark.usefixtures("sketched")
def test_odd_names_stay_text(make_project: Make) -> None:
    classes = ("background", ODD, "a" * 60, "last")
    root = make_project({"baseline": [], "np-4": ["np-4"]}, classes=classes, dataset=ODD)
    write_report(root)
    page = read_page(root)
    check_self_contained(page)
    assert ODD in page.text


MANY = {"baseline": []} | {
    f"{method}-{side}": [f"{method}-{side}"]
    for method in ("shf", "np", "ffx")
    for side in (2, 4, 8, 16, 32)
}


LISTS = {
    "baseline alone": {"baseline": []},
    "a composition alone": {"baseline": [], "mixed": ["np-4", "shf-4", "ffx-4"]},
    "many locks": MANY
    | {"mixed": ["np-4", "shf-4"], "np-4-f25": ["np-4-f25"], "np-4-twin": ["np-4"]},
}


@pytest.mark.usefixtures("sketched")
@pytest.mark.parametrize("locks", LISTS.values(), ids=LISTS)
def test_any_list_of_locks_renders(make_project: Make, locks: dict[str, list[str]]) -> None:
    root = make_project(locks, pictures=1)
    write_report(root)
    page = read_page(root)
    check_self_contained(page)
    assert {lock for lock, key in page.cells if key == "owner_miou"} == set(locks)


@pytest.mark.parametrize("locks", LISTS.values(), ids=LISTS)
def test_any_list_of_locks_is_drawn(make_project: Make, locks: dict[str, list[str]]) -> None:
    root = make_project(locks, pictures=1)
    results = read_results(root, {name: tuple(steps) for name, steps in locks.items()})
    for draw in (draw_access_control, draw_curves, draw_predictions):
        draw(results, root / "figure.png")
        with Image.open(root / "figure.png") as image:
            image.load()


@pytest.mark.usefixtures("sketched")
def test_results_without_pictures_or_verdict_render(make_project: Make) -> None:
    root = make_project({"baseline": [], "np-4": ["np-4"]}, pictures=0)
    path = root / "data/evaluations/np-4/evaluation.json"
    values = json.loads(path.read_text())
    values["scores"] |= {"regained": None, "plain_bn": None}
    values["run_id"] = None
    path.write_text(json.dumps(values))
    line = "1,0.1,nan,,0.2\n"  # a loss that never was
    path = root / "data/models/np-4/history.csv"
    path.write_text("epoch,lr,train_loss,val_loss,val_miou\n" + line)
    write_report(root)
    page = read_page(root)
    check_self_contained(page)
    assert page.cells["np-4", "regained"] == NOTHING
    assert "No test images were kept" in page.text
    assert not (root / "data/reports/predictions.png").exists()
