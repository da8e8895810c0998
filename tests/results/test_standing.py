"""The strongest thief of each tier, and the limits that a lock breaks."""

from __future__ import annotations

from typing import Any

import pytest

from seglock.results.attack import AttackResult, BeyondScratch
from seglock.results.standing import Thief, broken, held_against, most_beyond, strongest, tried


def attack(name: str, tier: str, miou: float, **more: Any) -> AttackResult:
    return AttackResult.check(
        {
            "attack": name, "tier": tier, "lock": "np-8", "unit": "steps",
            "budget": {"queries": 1, "seconds": 1.0}, "queries": 1, "seconds": 0.1, "miou": miou,
            "floor": 0.2, "correct": 0.7, "regained": (miou - 0.2) / 0.5, "plan_found": None,
            "above_chance": None, **more,
        }
    )  # fmt: skip


def test_the_strongest_is_of_its_tier_alone() -> None:
    found = [attack("a", "T0", 0.3), attack("b", "T0", 0.4), attack("c", "T2", 0.7)]
    known = tried(plain=0.5, plain_bn=0.1, wrong=None, owner=0.7, floor=0.2)
    assert strongest("T0", found) == Thief("b", 0.4, pytest.approx(0.4))
    assert strongest("T0", found, known) == Thief("plain", 0.5, pytest.approx(0.6))
    assert strongest("T3", found) is None


def test_the_most_beyond_scratch_is_over_all_shares() -> None:
    curve = [
        {"miou": miou, "from": source, "labelled": labelled}
        for labelled, theft, scratch in ((10, 0.4, 0.2), (50, 0.45, 0.44))
        for source, miou in (("theft", theft), ("scratch", scratch))
    ]
    line = most_beyond([attack("finetune", "T1", 0.45, curve=curve)])
    assert line is not None
    assert (line.labelled, round(line.beyond, 6)) == (10, 0.2)
    assert most_beyond([attack("a", "T0", 0.3)]) is None


def test_a_lock_holds_as_far_as_it_was_tried() -> None:
    curve = [{"miou": 0.3, "from": source, "labelled": 10} for source in ("theft", "scratch")]
    trained = attack("finetune", "T1", 0.3, curve=curve)
    assert held_against([attack("a", "T0", 0.3), trained]) == "T1"
    assert held_against([attack("a", "T0", 0.3), attack("hill-climb", "T1", 0.3)]) == "T0"
    assert held_against([attack("ciphertext-only", "T2", 0.3)]) is None


@pytest.mark.parametrize(
    ("change", "limits"),
    [
        ({}, ()),
        ({"drop": 0.011}, ("drop",)),
        ({"bits": 63.9}, ("bits",)),
        ({"t0": Thief("plain", 0.3, 0.051)}, ("T0",)),
        ({"t0": Thief("plain", 0.3, None)}, ("T0",)),
        ({"drop": None, "bits": None, "t0": None, "beyond": None}, ()),
    ],
)
def test_each_limit_is_told_when_it_is_broken(
    change: dict[str, Any], limits: tuple[str, ...]
) -> None:
    kept: dict[str, Any] = {
        "drop": 0.01, "bits": 64.0, "t0": Thief("plain", 0.2, 0.05), "beyond": beyond(0.02),
    }  # fmt: skip
    assert broken(**{**kept, **change}) == limits
    assert broken(**{**kept, "beyond": beyond(0.021)}) == ("T1",)


def beyond(value: float) -> BeyondScratch:
    return BeyondScratch(
        labelled=10, share=None, attack="a", miou=0.5, scratch_miou=0.4, beyond=value, regained=None
    )
