"""The interactive figure: one file that loads nothing and hands nothing over."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from seglock.report.paper import published_table
from seglock.report.pareto_html import write_pareto_html
from seglock.report.style import DARK, LIGHT
from seglock.results.study import Study
from tests.report.studies import BASELINE, make_study

ODD = "<script>alert(1)</script>&\"'"


class Outline(HTMLParser):
    """Tags with their attributes; what stands inside a script is not read as tags."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("html") / "pareto.html"
    write_pareto_html(Study.check(make_study()), path)
    return path.read_text(encoding="utf-8")


def figures_of(page: str, name: str = "pareto") -> list[dict[str, Any]]:
    """The figure on light paper and on dark: what the call that draws it is given."""
    (call,) = re.findall(rf'^draw\("{name}", (.*)\);$', page, re.MULTILINE)
    decoder = json.JSONDecoder()
    light, end = decoder.raw_decode(call)
    return [light, decoder.raw_decode(call, end + 2)[0]]


def figure_of(page: str, name: str = "pareto") -> tuple[list[Any], dict[str, Any]]:
    """Traces and layout on light paper."""
    light, _ = figures_of(page, name)
    return light["data"], light["layout"]


def test_nothing_is_loaded_from_anywhere(page: str) -> None:
    outline = Outline(page)
    for tag, attributes in outline.tags:
        assert not {"src", "srcset", "data", "action"} & set(attributes), tag
        assert attributes.get("href", "report.html") == "report.html"
        assert tag not in {"link", "iframe", "object", "embed", "form", "base", "img"}
    policies = [
        attributes["content"]
        for tag, attributes in outline.tags
        if tag == "meta" and attributes.get("http-equiv") == "Content-Security-Policy"
    ]
    (policy,) = policies
    assert policy.startswith("default-src 'none';")
    assert "http" not in policy
    assert "*" not in policy
    assert "connect-src" not in policy  # so default-src holds: no request at all


def test_the_button_that_uploads_the_figure_is_gone(page: str) -> None:
    assert '"showSendToCloud": false' in page


def test_it_shows_what_the_picture_does(page: str) -> None:
    study = Study.check(make_study())
    traces, layout = figure_of(page)
    named = {trace["name"]: trace for trace in traces}
    band = named["The baseline's 3 seeds"]
    assert {min(band["y"]), max(band["y"])} == {min(BASELINE), max(BASELINE)}
    assert "seed 1: 0.7858" in named["Baseline"]["hovertemplate"]
    limit = study.baseline.mean - study.limits.max_drop
    assert min(named["Within the limits"]["y"]) == pytest.approx(limit)
    labels = {
        note["text"].removeprefix("<b>").removesuffix("</b>") for note in layout["annotations"]
    }
    assert labels == {found.trial.lock.replace("_", "+") for found in study.front_trials}
    whole, near = layout["updatemenus"][0]["buttons"]
    assert whole["args"][0]["xaxis.range"] == layout["xaxis"]["range"]
    assert near["args"][0]["xaxis.range"][1] < layout["xaxis"]["range"][1]


def test_trials_of_one_lock_are_joined(tmp_path: Path) -> None:
    values = make_study()
    for number in (4, 6):
        values["trials"][number] |= {"lock": "np-4", "steps": ["np-4"], "method": "np"}
    write_pareto_html(Study.check(values), tmp_path / "x.html")
    traces, _ = figure_of((tmp_path / "x.html").read_text(encoding="utf-8"))
    (line,) = [trace for trace in traces if trace["name"] == "One lock, several keys"]
    assert line["y"] == [values["trials"][number]["owner_miou"] for number in (1, 4, 6)]


def test_on_dark_paper_it_is_the_same_figure_in_other_colours(page: str) -> None:
    light, dark = figures_of(page)
    assert (light["layout"]["paper_bgcolor"], dark["layout"]["paper_bgcolor"]) == (
        LIGHT.paper,
        DARK.paper,
    )
    assert [trace["x"] for trace in light["data"]] == [trace["x"] for trace in dark["data"]]
    assert LIGHT.ink not in json.dumps(dark)


def test_the_way_back_is_there_where_there_is_a_report(page: str, tmp_path: Path) -> None:
    assert "href" not in [name for _, attributes in Outline(page).tags for name in attributes]
    write_pareto_html(Study.check(make_study()), tmp_path / "x.html", back="report.html")
    text = (tmp_path / "x.html").read_text(encoding="utf-8")
    assert ("a", {"href": "report.html"}) in Outline(text).tags
    test_nothing_is_loaded_from_anywhere(text)


def test_every_measured_trial_can_be_pointed_at(page: str) -> None:
    study = Study.check(make_study())
    traces, _ = figure_of(page)
    told = [text for trace in traces for text in trace.get("text", [])]
    assert len(told) == len(study.measured)
    for found in study.measured:
        (text,) = [text for text in told if str(found.trial.run_id) in text]
        for value in (found.owner, found.unauthorised, found.trial.drop, found.trial.regained):
            assert f"{value:.4f}" in text
        assert found.trial.lock.replace("_", "+") in text
    assert sum("(recommended)" in text for text in told) == 1


def page_on(dataset: str, folder: Path) -> str:
    write_pareto_html(Study.check(make_study(dataset=dataset)), folder / "x.html")
    return (folder / "x.html").read_text(encoding="utf-8")


def test_on_voc_the_paper_s_points_stand_beside_ours(tmp_path: Path) -> None:
    study = Study.check(make_study(dataset="voc2012"))
    traces, layout = figure_of(page_on("voc2012", tmp_path), "published")
    assert layout["xaxis"]["type"] == "log"
    cells, baseline = published_table()
    theirs = {t["name"]: t for t in traces if "-open" in t.get("marker", {}).get("symbol", "")}
    found = {
        (side, name.split(",")[0].lower()): value
        for name, trace in theirs.items()
        for side, value in zip(trace["x"], trace["y"], strict=True)
    }
    assert found == cells
    assert len(found) == 24
    assert [t["y"] for t in traces if t["name"].startswith("Baseline")] == [[baseline, baseline]]
    ours = [t for t in traces if t["name"].endswith("ours")]
    points = [p for t in ours for p in zip(t["x"], t["y"], strict=True)]
    assert sorted(points) == sorted((f.trial.block_size, f.owner) for f in study.measured)
    told = [text for trace in ours for text in trace["hovertext"]]
    assert all(any(str(f.trial.run_id) in text for text in told) for f in study.measured)


def test_on_voc_too_plotly_is_there_once_and_nothing_is_loaded(page: str, tmp_path: Path) -> None:
    voc = page_on("voc2012", tmp_path)
    assert len(voc) < len(page) + 100_000
    test_nothing_is_loaded_from_anywhere(voc)
    assert figure_of(voc)[0] == figure_of(page)[0]
    assert page_on("voc2012", tmp_path) == voc


def test_on_other_data_there_are_no_published_points(page: str) -> None:
    assert re.findall(r'^draw\("(\w+)"', page, re.MULTILINE) == ["pareto"]


def test_the_same_study_gives_the_same_bytes(page: str, tmp_path: Path) -> None:
    write_pareto_html(Study.check(make_study()), tmp_path / "again.html")
    assert (tmp_path / "again.html").read_text(encoding="utf-8") == page


def test_odd_names_stay_text(tmp_path: Path) -> None:
    values = make_study(study=ODD)
    for trial in values["trials"]:
        trial |= {"lock": ODD}
    write_pareto_html(Study.check(values), tmp_path / "x.html")
    text = (tmp_path / "x.html").read_text(encoding="utf-8")
    assert "<script>alert" not in text
    traces, _ = figure_of(text)
    told = [text for trace in traces for text in trace.get("text", [])]
    assert told
    assert not any("<script" in text for text in told)


@pytest.mark.parametrize("count", [0, 1])
def test_a_study_with_little_in_it_is_a_page_too(tmp_path: Path, count: int) -> None:
    write_pareto_html(Study.check(make_study(count=count)), tmp_path / "x.html")
    text = (tmp_path / "x.html").read_text(encoding="utf-8")
    assert ('draw("pareto"' in text) == bool(count)
    assert ("No trial has been measured" in text) == (not count)
