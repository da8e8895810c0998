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
from seglock.results.study import Study
from tests.report.studies import make_study

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


def figure_of(page: str, name: str = "pareto") -> list[Any]:
    """The arguments of the call that draws the figure: id, traces, layout, options."""
    calls = [found.start() for found in re.finditer(r'Plotly\.newPlot\(\s*"', page)]
    (call,) = [page[at:] for at in calls if f'"{name}"' in page[at : at + 80]]
    decoder, found, place = json.JSONDecoder(), [], call.index("(") + 1
    while len(found) < 4:
        place += re.match(r"[\s,]*", call[place:]).end()
        value, place = decoder.raw_decode(call, place)
        found.append(value)
    return found


def test_nothing_is_loaded_from_anywhere(page: str) -> None:
    outline = Outline(page)
    for tag, attributes in outline.tags:
        assert not {"src", "href", "srcset", "data", "action"} & set(attributes), tag
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
    *_, options = figure_of(page)
    assert options["showSendToCloud"] is False


def test_every_measured_trial_can_be_pointed_at(page: str) -> None:
    study = Study.check(make_study())
    _, traces, _, _ = figure_of(page)
    told = [text for trace in traces for text in trace.get("text", [])]
    assert len(told) == len(study.measured)
    for found in study.measured:
        (text,) = [text for text in told if str(found.trial.run_id) in text]
        for value in (found.owner, found.unauthorised, found.trial.drop, found.trial.regained):
            assert f"{value:.4f}" in text
        assert found.trial.lock.replace("_", " + ") in text
    assert sum("(recommended)" in text for text in told) == 1


def page_on(dataset: str, folder: Path) -> str:
    write_pareto_html(Study.check(make_study(dataset=dataset)), folder / "x.html")
    return (folder / "x.html").read_text(encoding="utf-8")


def test_on_voc_the_paper_s_points_stand_beside_ours(tmp_path: Path) -> None:
    study = Study.check(make_study(dataset="voc2012"))
    _, traces, layout, options = figure_of(page_on("voc2012", tmp_path), "published")
    assert options["showSendToCloud"] is False
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
    assert figure_of(voc)[1] == figure_of(page)[1]
    assert page_on("voc2012", tmp_path) == voc


def test_on_other_data_there_are_no_published_points(page: str) -> None:
    assert len(re.findall(r'Plotly\.newPlot\(\s*"', page)) == 1
    assert "published" not in page[page.rindex("Plotly.newPlot(") :]


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
    _, traces, _, _ = figure_of(text)
    told = [text for trace in traces for text in trace.get("text", [])]
    assert told
    assert not any("<script" in text for text in told)


@pytest.mark.parametrize("count", [0, 1])
def test_a_study_with_little_in_it_is_a_page_too(tmp_path: Path, count: int) -> None:
    write_pareto_html(Study.check(make_study(count=count)), tmp_path / "x.html")
    text = (tmp_path / "x.html").read_text(encoding="utf-8")
    assert ("newPlot" in text) == bool(count)
    assert ("No trial has been measured" in text) == (not count)
