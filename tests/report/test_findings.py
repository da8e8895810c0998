"""What is said of networks that learnt nothing, and of how sure a drop is."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from seglock.cli.report import report_command
from seglock.report.findings import seeds, warnings
from seglock.report.standings import holds_text
from seglock.stages.report import write_report
from tests.report.studies import make_study
from tests.report.test_page import read_page
from tests.report.test_search_section import add_study
from tests.report.test_stages import run

pytestmark = pytest.mark.usefixtures("sketched")

Make = Callable[..., Path]


def test_a_network_at_its_floor_is_warned_of_and_counts_nowhere(
    make_project: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    locks = {"baseline": [], "np-4_shf-4": ["np-4", "shf-4"], "shf-4": ["shf-4"], "np-4": ["np-4"]}
    root = make_project(locks, pictures=0)
    path = root / "data/evaluations/np-4_shf-4/evaluation.json"
    values = json.loads(path.read_text())
    values["scores"] |= {"owner_miou": 0.1102, "regained": None}
    path.write_text(json.dumps(values))
    monkeypatch.chdir(root)
    output = " ".join(run(report_command).split())
    sentence = (
        "np-4+shf-4 learnt nothing: its owner has 0.1102, and the floor, which needs no model"
    )
    assert f"Weak: {sentence}" in output
    page = read_page(root).text
    assert sentence in " ".join(page.split())
    summary = json.loads((root / "data/reports/summary.json").read_text())
    standing = summary["standings"]["locks"]["np-4_shf-4"]
    assert holds_text(standing) == "learnt nothing"
    assert [told for told in warnings(summary) if told.startswith("np-4+shf-4")] == [
        told for told in warnings(summary) if "learnt nothing" in told
    ]
    assert "np-4_shf-4" not in page  # one spelling, whatever the name in params.yaml


def test_the_seeds_of_the_baseline_stand_beside_the_drop(
    make_project: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = make_project({"baseline": [], "shf-4": ["shf-4"]}, pictures=0)
    (sentence,) = seeds(write_report(root))
    assert sentence.startswith("The baseline was trained from one seed (0)")
    add_study(root, make_study())
    monkeypatch.chdir(root)
    output = " ".join(run(report_command).split())
    told = "0.7930 (seed 0), 0.7858 (seed 1), 0.7961 (seed 2), 0.0103 apart on the val split"
    assert told in output
    assert told in " ".join(read_page(root).text.split())


def test_without_a_lock_there_is_no_drop(make_project: Make) -> None:
    assert seeds(write_report(make_project({"baseline": []}, pictures=0))) == []
