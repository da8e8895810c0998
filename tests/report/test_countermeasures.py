"""Combinations and other fractions beside the single steps that they are built from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seglock.report.countermeasures import MOVED, countermeasures
from seglock.report.leaderboard import leaderboard
from seglock.report.numbers import NOTHING
from seglock.results.attack import AttackResult
from seglock.stages.report import write_report
from tests.report.suites import FLOOR, make_attack, put
from tests.report.test_page import Page, check_self_contained, read_page

pytestmark = pytest.mark.usefixtures("sketched")

OWNER = 0.61
GAIN = OWNER - FLOOR


def figures(steps: Sequence[str], **changes: Any) -> dict[str, Any]:
    """One lock of summary.json, as far as the view reads it."""
    has_ffx = any(step.startswith("ffx") for step in steps)
    return {
        "steps": list(steps), "key": "main", "owner_miou": OWNER, "drop": 0.05,
        "ffx_password": "from_key" if has_ffx else None, "ffx_divisor": None,
        "refuse": None,
    } | changes  # fmt: skip


def attack(lock: str, regained: float, name: str = "finetune", tier: str = "T1") -> dict[str, Any]:
    """A result that regained so much."""
    return make_attack(name, tier, lock, miou=FLOOR + regained * GAIN, correct=OWNER)


def view(
    locks: Mapping[str, dict[str, Any]], *attacks: dict[str, Any]
) -> dict[str, dict[str, Any]]:
    """The entries of the view by lock."""
    board = leaderboard([AttackResult.check(one) for one in attacks], locks)
    assert board is not None
    groups = board["countermeasures"]["groups"]
    return {entry["lock"]: entry for group in groups for entry in group["locks"]}


SINGLE = {"np-4": figures(["np-4"]), "shf-4": figures(["shf-4"]), "ffx-4": figures(["ffx-4"])}
BOTH = {"both": figures(["np-4", "shf-4"], owner_miou=0.55, drop=0.11)}


def test_a_lock_that_refuses_is_compared_with_such_as_refuse() -> None:
    both = {"both": figures(["np-4", "shf-4"], refuse=0.2)}
    locks = SINGLE | both | {"np-4-r": figures(["np-4"], refuse=0.1)}
    entry = view(locks, attack("np-4", 0.8), attack("np-4-r", 0.1), attack("both", 0.0))["both"]
    assert entry["parts"] == ["np-4-r"]
    assert entry["missing"] == ["shf-4"]


def test_a_combination_is_compared_with_the_part_that_gave_least() -> None:
    found = view(SINGLE | BOTH, attack("np-4", 0.8), attack("shf-4", 0.6), attack("both", 0.2))
    assert list(found) == ["both"]
    entry = found["both"]
    assert entry["parts"] == ["np-4", "shf-4"]
    assert entry["missing"] == []
    assert entry["cost"] == pytest.approx(0.06)
    assert entry["drop"] == 0.11
    tier = entry["tiers"]["T1"]
    assert (tier["beside"], tier["attack"], tier["verdict"]) == ("shf-4", "finetune", "less")
    assert tier["change"] == pytest.approx(-0.4)


def test_the_worst_attack_of_a_tier_counts() -> None:
    attacks = [attack("np-4", 0.5), attack("both", 0.1), attack("both", 0.9, "hill-climb")]
    tier = view(SINGLE | BOTH, *attacks)["both"]["tiers"]["T1"]
    assert (tier["attack"], tier["verdict"]) == ("hill-climb", "more")


def test_an_attack_that_only_a_part_had_to_stand_is_told() -> None:
    attacks = [
        attack("np-4", 0.5),
        attack("np-4", 0.9, "ciphertext-only", "T2"),
        attack("np-4", 0.7, "hill-climb"),
        attack("both", 0.1),
    ]
    tiers = view(SINGLE | BOTH, *attacks)["both"]["tiers"]
    assert tiers["T1"]["not_run"] == ["hill-climb"]
    assert tiers["T2"]["not_run"] == ["ciphertext-only"]
    assert (tiers["T2"]["regained"], tiers["T2"]["verdict"]) == (None, None)
    assert list(tiers) == ["T1", "T2"]


def test_a_fraction_is_compared_with_the_published_one() -> None:
    locks = SINGLE | {"f25": figures(["np-4-f25"]), "f50": figures(["np-4-f50"])}
    attacks = [attack(lock, 0.5) for lock in locks]
    found = view(locks, *attacks)
    assert list(found) == ["f25"]  # half of the positions is what is published
    assert found["f25"]["parts"] == ["np-4"]


def test_a_combination_of_fractions_prefers_these() -> None:
    locks = SINGLE | {"f25": figures(["np-4-f25"]), "both": figures(["np-4-f25", "shf-4-f50"])}
    found = view(locks, *(attack(lock, 0.5) for lock in locks))
    assert found["both"]["parts"] == ["f25", "shf-4"]


def test_parts_have_the_same_block_side_password_and_if_possible_key() -> None:
    locks = {
        "shf-8": figures(["shf-8"]),
        "np-4": figures(["np-4"], key="other"),
        "np-4-main": figures(["np-4"]),
        "ffx-4": figures(["ffx-4"], ffx_password="fixed"),
        "all": figures(["np-4", "ffx-4", "shf-4"]),
    }
    entry = view(locks, *(attack(lock, 0.5) for lock in locks))["all"]
    assert entry["parts"] == ["np-4-main"]
    assert entry["missing"] == ["ffx-4", "shf-4"]


def test_without_parts_nothing_moved() -> None:
    entry = view(BOTH, attack("both", 0.5))["both"]
    assert (entry["parts"], entry["cost"]) == ([], None)
    assert entry["missing"] == ["np-4", "shf-4"]
    assert (entry["tiers"]["T1"]["change"], entry["tiers"]["T1"]["verdict"]) == (None, None)


def test_groups_are_by_block_side() -> None:
    locks = {f"both-{m}": figures([f"np-{m}", f"shf-{m}"]) for m in (16, 2, 4)}
    attacked = {lock: {"attacks": {}, "tiers": {}} for lock in locks}
    assert [group["block_size"] for group in countermeasures(attacked, locks)] == [2, 4, 16]
    assert countermeasures({}, locks) == []


@given(st.floats(-0.2, 1), st.floats(-0.2, 1), st.floats(-0.2, 1))
def test_a_tier_moves_by_what_lies_above_the_floor(np4: float, shf4: float, both: float) -> None:
    attacks = [attack("np-4", np4), attack("shf-4", shf4), attack("both", both)]
    tier = view(SINGLE | BOTH, *attacks)["both"]["tiers"]["T1"]
    change = max(both, 0) - max(min(np4, shf4), 0)
    assert tier["change"] == pytest.approx(change, abs=1e-9)
    assert (tier["verdict"] == "same") == (abs(tier["change"]) < MOVED)
    if tier["verdict"] != "same":
        assert (tier["verdict"] == "less") == (tier["change"] < 0)


def test_both_pages_show_the_view(make_project: Callable[..., Path]) -> None:
    locks = {
        "baseline": [],
        "np-4": ["np-4"],
        "np-4_shf-4": ["np-4", "shf-4"],
        "np-8-f25": ["np-8-f25"],
    }
    root = make_project(locks, pictures=0)
    attacks = [attack("np-4", 0.8), attack("np-4", 0.9, "known-plaintext", "T3")]
    summary = write_report(
        put(root, [*attacks, attack("np-4_shf-4", 0.3), attack("np-8-f25", 0.1)])
    )
    sides = [group["block_size"] for group in summary["attacks"]["countermeasures"]["groups"]]
    assert sides == [4, 8]
    check_self_contained(read_page(root))
    for name in ("report.html", "leaderboard.html"):
        page = Page((root / "data/reports" / name).read_text(encoding="utf-8"))
        words = " ".join(page.text.split())
        assert "M = 4" in words
        assert "0.3000 (-0.5000) moved: less" in words
        assert "not among this report's locks" in words
        assert "0.1000 nothing to compare with" in words
        assert f"a difference of {MOVED} on" in words
        assert f"{NOTHING}*" in words


def test_single_steps_alone_need_no_view(make_project: Callable[..., Path]) -> None:
    root = make_project({"baseline": [], "np-4": ["np-4"]}, pictures=0)
    summary = write_report(put(root, [attack("np-4", 0.8)]))
    assert summary["attacks"]["countermeasures"]["groups"] == []
    for name in ("report.html", "leaderboard.html"):
        assert "Countermeasures" not in (root / "data/reports" / name).read_text(encoding="utf-8")
