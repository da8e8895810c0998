"""The leaderboard: which attack is the best of its tier, and how a cell is coloured."""

from __future__ import annotations

from typing import Any

from seglock.report.attacks import AttackResult
from seglock.report.leaderboard import leaderboard
from tests.report.suites import make_attack


def results_of(*values: dict[str, Any]) -> list[AttackResult]:
    return [AttackResult.model_validate(one) for one in values]


SUITE = results_of(
    make_attack("finetune", "T1", "shf-4", miou=0.05),
    make_attack("finetune", "T1", "np-4", miou=0.5, scratch_miou=0.2),
    make_attack("hill-climb", "T1", "np-4", miou=0.3, plan_agreement=0.6, chance=0.5),
    make_attack("ciphertext-only", "T2", "np-4", miou=0.7),
)


def test_the_best_attack_of_each_tier_stands_for_it() -> None:
    board = leaderboard(SUITE)
    assert board is not None
    assert list(board["locks"]) == ["shf-4", "np-4"]
    assert {tier: best["attack"] for tier, best in board["locks"]["np-4"]["tiers"].items()} == {
        "T1": "finetune", "T2": "ciphertext-only",
    }  # fmt: skip
    assert board["attacks"] == {
        "finetune": "T1", "hill-climb": "T1", "ciphertext-only": "T2",
    }  # fmt: skip
