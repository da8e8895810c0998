"""The report's section on the trade-off search, true to study.json, and absent without one."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from seglock.cli.report import report_command
from seglock.errors import ReportError
from seglock.report.searchsummary import advice_sentence, keys_sentence
from seglock.report.templating import render
from seglock.results.study import STUDY_FILE, Study
from seglock.stages.report import write_report
from tests.report.conftest import DEMO, write_project, write_sketch
from tests.report.studies import THIEF, make_study
from tests.report.test_page import check_self_contained, read_page
from tests.report.test_stages import FILES, run

pytestmark = pytest.mark.usefixtures("sketched")

Make = Callable[..., Path]


def add_study(root: Path, values: dict[str, Any]) -> None:
    path = root / STUDY_FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(values), encoding="utf-8")


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A rendered project with a study; tests only read it."""
    root = write_project(tmp_path_factory.mktemp("searched"), DEMO, pictures=1)
    add_study(root, make_study())
    return write_sketch(root)


def test_the_page_stays_one_file_and_gets_a_companion(searched: Path) -> None:
    page = read_page(searched)
    check_self_contained(page)
    assert "search" in page.ids
    assert ("a", "href", "pareto.html") in page.addresses
    folder = searched / "data" / "reports"
    assert {path.name for path in folder.iterdir()} == FILES | {"pareto.png", "pareto.html"}


def test_the_front_s_figures_are_the_study_s(searched: Path) -> None:
    page, values = read_page(searched), make_study()
    for trial in values["trials"]:
        cell = page.cells.get(("table1", f"front-{trial['number']}-owner"))
        if trial["number"] in values["front"]:
            assert cell == f"{trial['owner_miou']:.4f}"
            thief = page.cells["table1", f"front-{trial['number']}-unauthorised"]
            assert thief == f"{trial['unauthorised']:.4f}"
        else:
            assert cell is None


def test_all_trials_are_listed_with_their_end(searched: Path) -> None:
    words = " ".join(read_page(searched).text.split())
    assert "stopped after epoch 5 (behind): too far below" in words
    assert "failed: the loss must be finite, got nan" in words
    assert "3 were stopped early, which saved 21 of 240 epochs" in words


def test_the_recommendation_is_told_and_how_to_apply_it(searched: Path) -> None:
    words = " ".join(read_page(searched).text.split())
    assert words.count("Recommended: np-2+shf-2. The owner has 0.7817") == 2
    assert "seglock search --apply" in words


def test_summary_json_has_the_study(searched: Path) -> None:
    summary = json.loads((searched / "data/reports/summary.json").read_text())
    search, values = summary["search"], make_study()
    assert {row["number"] for row in search["front"]} == set(values["front"])
    owners = [row["owner_miou"] for row in search["front"]]
    assert owners == sorted(owners, reverse=True)
    assert search["recommendation"]["lock"] == "np-2_shf-2"
    assert search["recommendation"]["trained_as"] is None
    assert search["hypervolume"]["baseline"] == values["hypervolume"]["baseline"]["values"][-1][1]


def test_whose_attacks_the_objective_counts_is_told(make_project: Make, searched: Path) -> None:
    root = make_project({"baseline": []}, pictures=0)
    values = make_study()
    values["about"] |= {"thief": THIEF}
    for trial in values["trials"]:
        if trial["state"] == "complete":
            trial |= {"strongest": "hill-climb", "strongest_tier": "T1"}
    add_study(root, values)
    assert write_report(root)["search"]["thief"] == THIEF
    words = " ".join(read_page(root).text.split())
    assert "Unauthorised is the strongest attack up to T1, 200 queries, 2 s each, or what" in words
    assert "for np-2+shf-2 it is hill-climb (T1)." in words
    assert words.count("hill-climb (T1)") == 1 + sum(
        t["state"] == "complete" for t in values["trials"]
    )
    pointed = (root / "data/reports/pareto.html").read_text()
    assert "unauthorised: strongest attack up to T1, 200 queries, 2 s each" in pointed
    assert "strongest: hill-climb (T1)" in pointed
    assert "trongest attack" not in read_page(searched).text


def test_a_recommended_lock_that_was_trained_is_pointed_at(make_project: Make) -> None:
    root = make_project({"baseline": [], "mine": ["np-2", "shf-2"]}, pictures=0)
    add_study(root, make_study())
    assert write_report(root)["search"]["recommendation"]["trained_as"] == "mine"
    assert "In this report it is mine, trained in full" in " ".join(read_page(root).text.split())


@pytest.mark.parametrize("study", [None, make_study(count=0)], ids=["no file", "no trial"])
def test_without_trials_there_is_no_section(
    make_project: Make, study: dict[str, Any] | None
) -> None:
    root = make_project({"baseline": []}, pictures=0)
    if study:
        add_study(root, study)
    assert write_report(root)["search"] is None
    page = read_page(root)
    assert "search" not in page.ids
    assert "pareto.html" not in page.text
    assert not (root / "data/reports/pareto.html").exists()


def test_without_importances_the_reason_stands_there(make_project: Make) -> None:
    root = make_project({"baseline": []}, pictures=0)
    reason = "needs two complete trials, there are 1"
    add_study(root, make_study(importances=None, importances_reason=reason))
    write_report(root)
    assert reason in read_page(root).text


def test_a_study_of_other_data_stops_the_report(make_project: Make) -> None:
    root = make_project({"baseline": []}, pictures=0)
    values = make_study()
    values["about"] |= {"dataset_digest": "e" * 64}
    add_study(root, values)
    with pytest.raises(ReportError, match="run dvc repro search"):
        write_report(root)


@pytest.mark.parametrize(
    ("status", "start"),
    [
        ("recommended", "Recommended: np-2+shf-2. The owner"),
        ("none", "No recommendation: the owner"),
        ("undecided", "Undecided: the owner"),
    ],
)
def test_each_verdict_has_its_words(status: str, start: str) -> None:
    values = make_study()
    values["recommendation"] |= {"status": status}
    assert advice_sentence(Study.check(values)).startswith(start)


def with_keys(count: int) -> dict[str, Any]:
    """A study whose recommended lock has so many trials, each with another regained."""
    values = make_study()
    chosen = values["trials"][values["recommendation"]["trial"]]
    others = [t for t in values["trials"] if t["state"] == "complete" and t is not chosen]
    chosen |= {"regained": 0.1, "owner_miou": 0.78}
    for place, trial in enumerate(others[: count - 1], start=1):
        trial |= chosen | {"number": trial["number"], "regained": 0.1 + 0.02 * place}
    return values


def test_the_keys_that_the_chosen_lock_was_tried_under_are_counted(make_project: Make) -> None:
    assert keys_sentence(Study.check(with_keys(1))) == (
        "This lock was tried under one key only; search.confirm asks for more."
    )
    values = with_keys(3)
    sentence = keys_sentence(Study.check(values))
    assert sentence is not None
    assert sentence.startswith("This lock was tried under 3 keys (trials ")
    assert sentence.endswith("): owner 0.7800 to 0.7800, regained 0.1000 to 0.1400.")
    assert keys_sentence(Study.check(make_study(count=0))) is None
    root = make_project({"baseline": []}, pictures=0)
    add_study(root, values)
    search = write_report(root)["search"]
    assert search["recommendation"]["keys_tried"] == sentence
    (lock,) = [one for one in search["locks"] if one["keys"] == 3]
    assert lock["named"]
    assert lock["shown"]
    written = (root / "data/reports/report.html").read_text()
    assert ">not attacked</td><td>3</td>" in written
    assert "0.1200<br><small>0.1000 to 0.1400</small>" in written
    assert lock["regained"] == pytest.approx({"mean": 0.12, "least": 0.1, "most": 0.14})
    assert (lock["text"], lock["broken"]) == ("np-2+shf-2", [])
    assert sentence in " ".join(read_page(root).text.split())


def test_a_key_under_which_no_lead_is_left_regains_all() -> None:
    values = with_keys(2)
    values["trials"][values["recommendation"]["trial"]]["regained"] = None
    assert "regained 0.1200 to 1.0000" in str(keys_sentence(Study.check(values)))


def test_what_is_still_to_come_is_said() -> None:
    sentence = render("effort.html", study=Study.check(make_study(count=4, asked=10)))
    assert sentence.startswith("4 of 4 trials ran in full")
    assert "6 of 10 are still to come" in sentence
    assert sentence.endswith("The trials took 32 s together.")


def test_the_command_ends_with_the_recommendation(
    make_project: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = make_project({"baseline": []}, pictures=0)
    add_study(root, make_study())
    monkeypatch.chdir(root)
    output = run(report_command)
    assert "Search: Recommended: np-2+shf-2. The owner has 0.7817" in output
    assert "Next        seglock search --apply" in output
    add_study(root, make_study(count=0))
    output = run(report_command)
    assert "Search:" not in output
    assert "Next        add a lock to params.yaml" in output
