"""Whether a lock keeps its limits, and the card that says so."""

from __future__ import annotations

from typing import Any

import pytest

from seglock.results.attack import AttackResult
from seglock.results.evaluation import Evaluation, Floors, KeyScores, Score, Scores
from seglock.results.standing import LockLimits
from seglock.serving.card import judge, model_card, tags
from tests.serving.tiny import describe

LIMITS = LockLimits(drop=0.02, regained=0.05)


def evaluated(owner: float, thief: float | None) -> Evaluation:
    floors = Floors(constant=0.1, prior=0.2, floor=0.2)
    best = None if thief is None else Score(miou=thief, iou={})
    scores = Scores.of(
        floors,
        Score(miou=owner, iou={}) if best is None else best,
        None if best is None else Score(miou=owner, iou={}),
        best,
        None if thief is None else KeyScores(keys=2, mean=0, std=0, p95=0, max=0, min=0),
    )
    return Evaluation(
        lock="np-2", method="np", steps=("np-2",), dataset="synthetic", classes=("a", "b"),
        image_side=16, model="fcn_small", seed=0, scores=scores,
    )  # fmt: skip


def attack(tier: str, miou: float, **more: Any) -> AttackResult:
    return AttackResult.check(
        {
            "attack": f"some-{tier.lower()}", "tier": tier, "lock": "np-2", "unit": "keys",
            "budget": {"queries": 1, "seconds": 1.0}, "queries": 1, "seconds": 0.1, "miou": miou,
            "floor": 0.2, "correct": 0.7, "regained": (miou - 0.2) / 0.5, "plan_found": None,
            "above_chance": None, **more,
        }
    )  # fmt: skip


@pytest.mark.parametrize(
    ("drop", "thief", "attacks", "keeps", "said"),
    [
        (0.01, 0.2, (), True, "drop is 0.0100, within the limit of 0.02"),
        (0.03, 0.2, (), False, "drop is 0.0300, over the limit of 0.02"),
        (0.01, 0.3, (), False, r"regains 0.2000 \(plain\), over the limit"),
        (0.01, 0.2, (attack("T0", 0.7),), False, r"regains 1.0000 \(some-t0\), over the limit"),
        (0.01, 0.2, (attack("T2", 0.7),), True, "within the limit of 0.05"),
    ],
)
def test_a_lock_keeps_both_limits_or_says_which_not(
    drop: float, thief: float, attacks: tuple[AttackResult, ...], keeps: bool, said: str
) -> None:
    owner = 0.7
    standing = judge(evaluated(owner, thief), evaluated(owner + drop, None), attacks, LIMITS)
    assert standing.keeps is keeps
    with pytest.raises(AssertionError, match=said):
        raise AssertionError(str(standing))


def test_without_a_baseline_nothing_is_kept() -> None:
    standing = judge(evaluated(0.7, 0.2), None, (), LIMITS)
    assert not standing.keeps
    assert "no baseline was evaluated" in str(standing)


def test_the_card_names_the_strongest_thief_of_each_tier() -> None:
    found, attacks = evaluated(0.7, 0.2), [attack("T0", 0.3), attack("T2", 0.7), attack("T2", 0.5)]
    standing = judge(found, found, attacks, LIMITS)
    card = model_card(describe(), found, attacks, standing)
    assert "(T2, `some-t2`) | 0.7000 | 1.0000 |" in card
    assert "(T0, `some-t0`) | 0.3000 | 0.2000 |" in card
    assert str(standing) in card
    assert "0" * 16 not in card
    assert describe().key_id in card
    assert "No attack was run" in model_card(describe(), found, (), standing)
    assert "It was not evaluated" in model_card(describe(), None, (), None)
    assert tags(describe(), standing)["seglock.keeps_limits"] == "false"
