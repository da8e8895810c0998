from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from seglock.errors import ReportError
from seglock.report.attacks import leaderboard, read_attacks
from seglock.stages.report import write_report
from tests.report.conftest import DEMO


def put(root: Path, lock: str, attack: str, tier: str, **changes: Any) -> None:
    values = {
        "attack": attack, "tier": tier, "lock": lock, "unit": "keys", "queries": 7, "seconds": 1.5,
        "budget": {}, "miou": 0.4, "floor": 0.1, "correct": 0.7, "regained": 0.5,
        "plan_agreement": None,
    } | changes  # fmt: skip
    path = root / "data" / "attacks" / lock / f"{attack}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(values))


@pytest.fixture
def plain_project(make_project: Callable[..., Path]) -> Path:
    return make_project(DEMO)


@pytest.fixture
def attacked(plain_project: Path) -> Path:
    demo = plain_project
    put(demo, "np-4", "hill-climb", "T1", miou=0.3, regained=1 / 3, plan_agreement=0.6, chance=0.5)
    put(demo, "np-4", "finetune", "T1", miou=0.5, regained=2 / 3, scratch_miou=0.2)
    put(demo, "np-4", "ciphertext-only", "T2", miou=0.7, regained=1.0)
    put(demo, "shf-4", "finetune", "T1", miou=0.05, regained=-0.1)
    return demo


def test_the_best_attack_of_each_tier_stands_for_it(attacked: Path) -> None:
    board = leaderboard(read_attacks(attacked, ["baseline", "shf-4", "np-4"]))
    assert board is not None
    assert list(board["locks"]) == ["shf-4", "np-4"]
    np4 = board["locks"]["np-4"]
    assert {tier: best["attack"] for tier, best in np4["tiers"].items()} == {
        "T1": "finetune", "T2": "ciphertext-only",
    }  # fmt: skip
    assert board["attacks"] == {
        "finetune": "T1", "hill-climb": "T1", "ciphertext-only": "T2",
    }  # fmt: skip


def test_the_report_shows_it_and_writes_the_leaderboard(attacked: Path) -> None:
    summary = write_report(attacked)
    folder = attacked / "data/reports"
    assert json.loads((folder / "leaderboard.json").read_text()) == summary["attacks"]
    page = (folder / "report.html").read_text()
    words = " ".join(re.sub(r"<[^>]+>", " ", page).split())
    assert "0.5000 (0.6667) finetune" in words
    assert "plan 0.6000 (chance 0.5000)" in page
    assert "from scratch on the same images 0.2000" in page
    assert page.count("rgba(214, 69, 65, 0.70)") == 2  # regained whole, in both tables
    assert "these figures do not cover that" not in page


def test_without_attacks_there_is_no_section(plain_project: Path) -> None:
    demo = plain_project
    summary = write_report(demo)
    assert summary["attacks"] is None
    page = (demo / "data/reports/report.html").read_text()
    assert 'id="attacks"' not in page
    assert not (demo / "data/reports/leaderboard.json").exists()


@pytest.mark.parametrize("damage", ["{", '{"attack": "finetune"}'])
def test_damaged_results_name_the_stage(attacked: Path, damage: str) -> None:
    (attacked / "data/attacks/np-4/finetune.json").write_text(damage)
    with pytest.raises(ReportError, match="dvc repro attack@np-4"):
        read_attacks(attacked, ["np-4"])


def test_results_of_another_lock_are_refused(attacked: Path) -> None:
    put(attacked, "np-4", "plain", "T0")
    text = (attacked / "data/attacks/np-4/plain.json").read_text().replace("np-4", "shf-4")
    (attacked / "data/attacks/np-4/plain.json").write_text(text)
    with pytest.raises(ReportError, match="must be about lock np-4"):
        read_attacks(attacked, ["np-4"])
