"""The pages in a real browser: nothing is asked for, all is there and fits, in light and dark."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from seglock.stages.report import write_report
from tests.browser import opened
from tests.report.conftest import write_project
from tests.report.studies import make_study
from tests.report.suites import make_suite, put
from tests.report.test_search_section import add_study

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

LOCKS = {"baseline": [], "shf-4": ["shf-4"], "np-4_shf-4": ["np-4", "shf-4"]}
PAGES = ("report.html", "leaderboard.html", "pareto.html")
WIDE, NARROW = {"width": 1280, "height": 800}, {"width": 390, "height": 844}
UI = "http://127.0.0.1:5000/"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pages of a project that has all there can be: attacks, a study, kept predictions."""
    root = write_project(tmp_path_factory.mktemp("pages"), LOCKS, ranked=True, pictures=1)
    put(root, make_suite(list(LOCKS)[1:]))
    add_study(root, make_study(dataset="voc2012"))
    write_report(root)
    return root / "data" / "reports"


def look_at(page: Page) -> dict[str, Any]:
    """What a browser knows of a page whose details are all open."""
    found: dict[str, Any] = page.evaluate(
        """() => {
          document.querySelectorAll("details").forEach((one) => { one.open = true; });
          const images = [...document.images];
          return {
            overflow: document.documentElement.scrollWidth - window.innerWidth,
            images: images.length,
            broken: images.filter((one) => !one.naturalWidth || !one.alt).map((one) => one.alt),
            links: [...document.querySelectorAll("a")].map((one) => one.getAttribute("href")),
            ids: [...document.querySelectorAll("[id]")].map((one) => one.id),
            paper: getComputedStyle(document.body).backgroundColor,
            plots: [...document.querySelectorAll(".plot")].map((one) => one.layout.paper_bgcolor),
          };
        }"""
    )
    return found


def hidden(table: Locator) -> int:
    """How many pixels of a table can only be seen by moving it sideways."""
    how = "(one) => one.parentElement.scrollWidth - one.parentElement.clientWidth"
    wide: int = table.evaluate(how)
    return wide


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["1280", "390"])
@pytest.mark.parametrize("name", PAGES)
def test_a_page_asks_for_nothing_and_is_whole(
    browser: Browser,
    folder: Path,
    name: str,
    size: dict[str, int],
    scheme: Any,
) -> None:
    address = (folder / name).as_uri()
    with opened(browser, address, viewport=size, color_scheme=scheme) as page:
        found = look_at(page)
    assert found["overflow"] <= 0
    assert found["broken"] == []
    assert bool(found["images"]) == (name == "report.html")
    for link in found["links"]:
        inside = link.startswith("#") and link[1:] in found["ids"]
        assert inside or link.startswith(UI) or (folder / urlsplit(link).path).is_file(), link
    paper = {"light": "rgb(255, 255, 255)", "dark": "rgb(22, 27, 34)"}[scheme]
    assert found["paper"] == paper
    drawn = {"light": "#ffffff", "dark": "#161b22"}[scheme]
    assert found["plots"] == [drawn] * (2 if name == "pareto.html" else 0)


def test_the_first_screen_has_the_first_chart_and_the_tiers_stand_whole(
    browser: Browser,
    folder: Path,
) -> None:
    address = (folder / "report.html").as_uri()
    with opened(browser, address, viewport=WIDE) as page:
        chart = page.locator("img").first.bounding_box()
        assert chart is not None
        assert chart["y"] + chart["height"] <= WIDE["height"]
        for wide in ("#standing", "#headline"):
            assert hidden(page.locator(wide)) == 0, wide
        assert not page.locator("dl.meanings").first.is_visible()
        for kept in ("#extremes", "#confusion"):
            assert page.locator(f"{kept} img").count() == len(LOCKS)
        page.emulate_media(media="print")
        page.set_viewport_size({"width": 1031, "height": 703})  # A4 on its side, less its margins
        for wide in ("#standing", "#headline"):
            assert page.locator(wide).evaluate("(t) => t.getBoundingClientRect().right") <= 1031
        heads = "h2, h3, summary"
        breaks = (
            f"[...document.querySelectorAll('{heads}')].map((h) => getComputedStyle(h).breakAfter)"
        )
        assert set(page.evaluate(breaks)) == {"avoid"}


def test_ten_attacks_stand_beside_each_other(
    browser: Browser,
    folder: Path,
) -> None:
    with opened(browser, (folder / "leaderboard.html").as_uri(), viewport=WIDE) as page:
        assert page.locator("#leaderboard thead tr:last-child th").count() == 10
        assert hidden(page.locator("#leaderboard")) == 0


def test_the_figure_to_point_at_has_names_limits_seeds_and_follows_the_scheme(
    browser: Browser,
    folder: Path,
) -> None:
    study = json.loads((folder.parent / "search" / "study.json").read_text())
    front = {t["lock"].replace("_", "+") for t in study["trials"] if t["number"] in study["front"]}
    with opened(browser, (folder / "pareto.html").as_uri(), viewport=WIDE) as page:
        names = set(page.locator("#pareto .annotation-text").all_text_contents())
        assert front <= names
        legend = page.locator("#pareto .legendtext").all_text_contents()
        assert {"The baseline's 3 seeds", "No lock: owner = thief", "Recommended"} <= set(legend)
        assert any(entry.startswith("Within the limits") for entry in legend)
        page.locator("#pareto .updatemenu-button", has_text="Near").click()
        near = page.evaluate("document.getElementById('pareto').layout.xaxis.range")
        assert near[1] < 0.3
        page.emulate_media(color_scheme="dark")
        page.locator("#pareto svg[style*='rgb(22, 27, 34)']").first.wait_for()
