"""Every table says what the JSON says."""

from __future__ import annotations

import csv
import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from seglock.methods import METHODS
from seglock.report.columns import COLUMNS
from seglock.report.exports import to_csv, to_latex
from seglock.report.findings import broken_locks, least, refusals, warnings, weak_keys
from seglock.report.locks import group_series, read_results
from seglock.report.numbers import NOTHING, bits, four, plans
from seglock.report.paper import published_table, table1
from seglock.report.summary import summarise
from seglock.report.templating import escape_latex, render
from seglock.results.attack import AttackResult
from seglock.results.standing import LockLimits
from tests.report.suites import make_attack, make_trained

Make = Callable[..., Path]
STEPS = next(column for column in COLUMNS if column.key == "steps")


def summary_of(root: Path, locks: dict[str, list[str]]) -> dict[str, Any]:
    return summarise(read_results(root, {name: tuple(steps) for name, steps in locks.items()}))


def evaluation(root: Path, lock: str) -> dict[str, Any]:
    path = root / "data/evaluations" / lock / "evaluation.json"
    values: dict[str, Any] = json.loads(path.read_text())
    return values


def test_the_summary_holds_each_lock_s_figures(demo: Path) -> None:
    summary = json.loads((demo / "data/reports/summary.json").read_text())
    assert list(summary["locks"]) == ["baseline", "shf-4", "np-4", "ffx-4"]
    base = evaluation(demo, "baseline")["scores"]["owner_miou"]
    for lock in ("shf-4", "np-4", "ffx-4"):
        scores, figures = evaluation(demo, lock)["scores"], summary["locks"][lock]
        assert figures["owner_miou"] == scores["correct"]["miou"]
        assert figures["drop"] == base - scores["owner_miou"]
        assert figures["plain"] == scores["plain"]["miou"]
        assert figures["plain_bn"] == scores["plain_bn"]["miou"]
        for name in ("mean", "std", "p95", "max", "min", "keys"):
            assert figures[f"incorrect_{name}"] == scores["incorrect"][name]
        assert figures["unauthorised"] == scores["unauthorised"]
        assert figures["regained"] == scores["regained"]
        assert figures["floor_prior"] == scores["floors"]["prior"]
        assert figures["run_id"] == evaluation(demo, lock)["run_id"]
    assert summary["locks"]["baseline"]["drop"] is None


def test_the_csv_has_four_decimals_of_every_figure(demo: Path) -> None:
    summary = json.loads((demo / "data/reports/summary.json").read_text())
    with (demo / "data/reports/table.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["lock"] for row in rows] == list(summary["locks"])
    for row in rows:
        for field, text in row.items():
            value = summary["locks"][row["lock"]][field]
            if isinstance(value, float):
                assert text == f"{value:.4f}"
            else:
                assert text == ("" if value is None else str(value)) or text == " ".join(value)
    assert to_csv(summary) == (demo / "data/reports/table.csv").read_text()


def test_the_paper_s_table_is_the_paper_s() -> None:
    cells, baseline = published_table()
    assert baseline == 0.7080
    assert cells[2, "shf"] == 0.6597
    assert cells[256, "ffx"] == 0.2367
    assert len(cells) == 8 * 3


def test_table_1_takes_single_steps_with_the_paper_s_share(make_project: Make) -> None:
    locks = {
        "baseline": [],
        "a": ["np-8"],
        "again": ["np-8"],
        "quarter": ["np-8-f25"],
        "mixed": ["np-8", "shf-8"],
        "odd": ["shf-32"],
    }
    table = table1(summary_of(make_project(locks), locks))
    assert set(table.measured) == {(8, "np"), (32, "shf")}
    assert table.elsewhere == ("again", "quarter", "mixed")
    assert table.block_sizes == (2, 4, 8, 16, 32, 64, 128, 256)


def check_rows(text: str) -> None:
    """Every row of every table has as many cells as its tabular has columns."""
    for body in re.findall(r"\\begin{tabular}{(\w+)}(.*?)\\end{tabular}", text, re.DOTALL):
        columns, rows = body
        for line in rows.splitlines():
            if line.endswith(r"\\"):
                spans = [int(n) - 1 for n in re.findall(r"\\multicolumn{(\d)}", line)]
                assert line.count("&") - line.count(r"\&") + 1 + sum(spans) == len(columns), line


def test_latex_is_balanced_and_every_row_has_its_cells(demo: Path) -> None:
    text = (demo / "data/reports/table.tex").read_text()
    for kind in ("table", "tabular"):
        assert text.count(rf"\begin{{{kind}}}") == text.count(rf"\end{{{kind}}}") == 2
    assert text.count("{") == text.count("}")
    assert not set(re.findall(r"(?<!\\)[_#%]", text.split("\n", 1)[1]))
    check_rows(text)
    measured = evaluation(demo, "ffx-4")["scores"]["owner_miou"]
    assert f"{measured:.4f}" in text
    assert "0.4944" in text


def test_both_floors_stand_under_the_table(demo: Path) -> None:
    text = (demo / "data/reports/table.tex").read_text()
    floors = evaluation(demo, "baseline")["scores"]["floors"]
    for name in ("constant", "prior"):
        row = next(line for line in text.splitlines() if f"Floor, {name} &" in line)
        assert row.count(f"{floors[name]:.4f}") == 1
        assert row.endswith(r"\multicolumn{3}{c}{--} \\")


def test_a_fourth_method_widens_ours_and_leaves_the_paper_s(
    make_project: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(METHODS, "inv", METHODS["np"])
    published_table.cache_clear()
    locks = {"baseline": [], "np-4": ["np-4"], "inv-4": ["inv-4"]}
    summary = summary_of(make_project(locks), locks)
    table = table1(summary)
    assert set(table.measured) == {(4, "np"), (4, "inv")}
    assert table.elsewhere == ()
    text = to_latex(summary, table)
    check_rows(text)
    assert r"\begin{tabular}{rccccccc}" in text
    assert r"\cmidrule(lr){2-5} \cmidrule(lr){6-8}" in text
    assert "SHF & NP & FFX & INV & SHF & NP & FFX" in text
    assert f"{summary['locks']['inv-4']['owner_miou']:.4f}" in text


def test_the_divisor_is_told_of_locks_with_ffx_only(make_project: Make) -> None:
    locks = {"baseline": [], "f": ["ffx-4"], "plain-f": ["ffx-4"], "n": ["np-4"]}
    root = make_project(locks)
    for lock in ("f", "n"):
        path = root / "data/evaluations" / lock / "evaluation.json"
        path.write_text(json.dumps(evaluation(root, lock) | {"ffx_divisor": 1000}))
    told = summary_of(root, locks)["locks"]
    assert [told[lock]["ffx_divisor"] for lock in locks] == [None, 1000, None, None]
    assert [STEPS.text(told[lock]) for lock in locks] == [
        "none", "ffx-4 (FFX / 1000)", "ffx-4", "np-4",
    ]  # fmt: skip


def test_result_files_of_before_the_divisor_are_read(make_project: Make) -> None:
    root = make_project({"baseline": []})
    values = evaluation(root, "baseline")
    del values["ffx_divisor"]
    (root / "data/evaluations/baseline/evaluation.json").write_text(json.dumps(values))
    assert summary_of(root, {"baseline": []})["locks"]["baseline"]["ffx_divisor"] is None


def refusing(root: Path, lock: str, shares: tuple[float, float, float] = (1, 1, 0.9)) -> None:
    """Make a lock one that was taught to refuse, and does."""
    values = evaluation(root, lock) | {"refuse": 0.1}
    for name, share in zip(("plain", "plain_bn", "incorrect"), shares, strict=True):
        values["scores"][name]["refused"] = share
    values["scores"] |= {"refused": min(shares)}
    path = root / "data/evaluations" / lock / "evaluation.json"
    path.write_text(json.dumps(values))


def test_a_refusing_lock_is_told_apart(make_project: Make) -> None:
    locks = {"baseline": [], "r": ["np-8"], "np-8": ["np-8"], "noise": ["np-4"]}
    root = make_project(locks)
    refusing(root, "r")
    refusing(root, "noise", (0.1, 0.5, 0.9))
    summary = summary_of(root, locks)
    found = summary["locks"]
    assert [found[lock]["refused"] for lock in locks] == [None, 0.9, 0.25, 0.1]
    assert (found["r"]["plain_refused"], found["r"]["incorrect_refused"]) == (1, 0.9)
    refused = next(column for column in COLUMNS if column.key == "refused")
    assert [refused.text(found[lock]) for lock in locks] == [NOTHING, "0.9000", "0.2500", "0.1000"]
    assert STEPS.text(found["r"]) == "np-8 (refuses, 0.1)"
    (sentence,) = refusals(summary)
    assert sentence.startswith("r refuses: without the key at least 90% of the images")
    assert sentence in render("findings.html", summary=summary)
    table = table1(summary)
    assert (table.measured[8, "np"], table.elsewhere) == (
        found["np-8"]["owner_miou"],
        ("r", "noise"),
    )
    groups = group_series(read_results(root, {n: tuple(s) for n, s in locks.items()}))
    assert [group.label for group in groups] == ["NP, refusing", "NP"]


def test_reports_and_results_of_before_refusals_are_read(make_project: Make) -> None:
    root = make_project({"baseline": [], "np-4": ["np-4"]})
    values = evaluation(root, "np-4")
    del values["refuse"], values["scores"]["refused"], values["scores"]["plain"]["refused"]
    (root / "data/evaluations/np-4/evaluation.json").write_text(json.dumps(values))
    summary = summary_of(root, {"baseline": [], "np-4": ["np-4"]})
    assert summary["locks"]["np-4"]["refused"] is None
    del summary["locks"]["np-4"]["refused"]
    assert refusals(summary) == []


def test_latex_escapes_names(make_project: Make) -> None:
    locks = {"baseline": [], "my_lock": ["np-4"]}
    root = make_project(locks, dataset="50%_of {all} & $more#~^\\")
    summary = summary_of(root, locks)
    text = to_latex(summary, table1(summary))
    assert r"my\_lock &" in text
    assert (
        r"50\%\_of \{all\} \& \$more\#\textasciitilde{}\textasciicircum{}\textbackslash{}" in text
    )
    assert escape_latex("a_b") == r"a\_b"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, NOTHING),
        (0.12344999, "0.1234"),
        (-0.00001, "0.0000"),
        (-0.25, "-0.2500"),
        (1.0, "1.0000"),
    ],
)
def test_figures_have_four_decimals(value: float | None, text: str) -> None:
    assert four(value) == text


def test_key_spaces_are_counted_where_they_can_be() -> None:
    assert plans(math.log2(924)) == "924"
    assert plans(math.log2(math.comb(48, 24))) == "about 10¹³"
    assert plans(256.0).startswith("more than 10⁷⁷")
    assert bits(256.0) == "256+"


def test_findings_name_the_best_and_the_weak(make_project: Make) -> None:
    locks = {"baseline": [], "np-2": ["np-2"], "shf-4": ["shf-4"]}
    summary = summary_of(make_project(locks), locks)
    best = max(("np-2", "shf-4"), key=lambda name: summary["locks"][name]["owner_miou"])
    assert f"Most accurate for its owner: {best}, " in render("findings.html", summary=summary)
    assert len(weak_keys(summary)) == 1
    assert warnings(summary)[0].startswith("np-2 has only 92")
    share = summary["locks"]["shf-4"]["regained"]
    assert warnings(summary)[-1] == (
        f"shf-4 is broken: plain BN (T0, the model alone) regains {share:.0%} of the owner's lead."
    )
    regained = {name: summary["locks"][name]["regained"] for name in ("np-2", "shf-4")}
    tight = min(regained, key=regained.__getitem__)
    assert least(summary)[0].startswith(f"Least for a thief with the model alone: {tight}. ")


def test_the_weak_and_the_least_count_attacks(make_project: Make) -> None:
    locks = {"baseline": [], "np-8": ["np-8"], "shf-4": ["shf-4"], "ffx-4": ["ffx-4"]}
    root = make_project(locks)
    quiet = LockLimits(drop=1, regained=0.6, bits=0)
    attacks = [
        make_trained("finetune", "np-8", gain=0.125),
        make_trained("finetune", "shf-4", gain=0.01),
        make_attack("unsupervised", "T0", "shf-4", miou=0.6),
        make_attack("ciphertext-only", "T2", "shf-4", miou=0.7),
        make_attack("ciphertext-only", "T2", "ffx-4", miou=0.7),
    ]
    results = read_results(root, {name: tuple(steps) for name, steps in locks.items()})
    summary = summarise(results, None, [AttackResult.check(one) for one in attacks], quiet)
    assert broken_locks(summary) == [
        "np-8 is broken: finetune with 4 labelled images (T1) has +0.1250 beyond training from "
        "scratch.",
        "shf-4 is broken: unsupervised (T0, the model alone) regains 83% of the owner's lead; "
        "ciphertext-only (T2, encrypted images) regains 100% of the owner's lead.",
        "ffx-4 falls to whoever sees encrypted images: ciphertext-only (T2, encrypted images) "
        "regains 100% of the owner's lead.",
    ]
    told = least(summary)
    assert told[1].startswith("Least for a thief with labels: shf-4. finetune with ")
    assert "has +0.0100 beyond" in told[1]
    page = render("findings.html", summary=summary)
    assert all(sentence.split("'")[0] in page for sentence in told)


def test_findings_of_a_baseline_alone_say_what_to_add(make_project: Make) -> None:
    summary = summary_of(make_project({"baseline": []}), {"baseline": []})
    assert "no lock yet" in render("findings.html", summary=summary)
    assert warnings(summary) == []
