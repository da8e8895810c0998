"""The strongest thief of each tier, and the limits that a lock breaks."""

from __future__ import annotations

from typing import Any

import pytest

from seglock.results.attack import AttackResult
from seglock.results.standing import (
    LockLimits,
    LockStanding,
    Thief,
    broken,
    held_against,
    most_beyond,
    strongest,
    tried,
)
from tests.search.records import make_trial


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
        "drop": 0.01, "bits": 64.0, "t0": Thief("plain", 0.2, 0.05), "beyond": 0.02,
    }  # fmt: skip
    assert broken(**{**kept, **change}) == limits
    assert broken(**{**kept, "beyond": 0.021}) == ("T1",)


ATTACKS = {
    "adapt": {"tier": "T0", "miou": 0.14, "regained": 0.1},
    "finetune": {"tier": "T1", "miou": 0.3, "regained": 0.5, "scratch_miou": 0.25},
    "hill-climb": {"tier": "T1", "miou": 0.26, "regained": 0.4},
}


def test_a_trial_is_judged_as_a_lock_of_the_pipeline() -> None:
    trial = make_trial(0, 0.5, 0.3, strongest="finetune", strongest_tier="T1", attacks=ATTACKS)
    found = LockStanding.of_trial(trial, LockLimits(drop=0.1, regained=0.5, bits=64))
    assert {tier: thief.name for tier, thief in found.thieves.items()} == {
        "T0": "adapt", "T1": "finetune"
    }  # fmt: skip
    assert found.beyond == pytest.approx(0.05)
    assert (found.broken, found.held, found.verdict) == (("T1",), "T1", "broken: T1")
    # A thief whom the study asked for counts as one of T0 does.
    pairs = {"pairs": {"tier": "T2", "miou": 0.5, "regained": 1.0}}
    limits = LockLimits(drop=0.1, regained=0.05, beyond=0.06, bits=64)
    told = LockStanding.of_trial(trial.model_copy(update={"attacks": ATTACKS | pairs}), limits)
    assert told.broken == ("T0", "T1", "T2")


def test_a_trial_that_nobody_attacked_is_not_said_to_hold() -> None:
    limits = LockLimits(drop=0.1, regained=0.05, bits=64)
    quiet = make_trial(0, 0.5, 0.1, plain=0.1, plain_bn=0.09, incorrect_p95=0.05)
    assert LockStanding.of_trial(quiet, limits).verdict == "not attacked"
    loud = make_trial(0, 0.5, 0.2, plain=0.1, plain_bn=0.2, incorrect_p95=0.05)
    assert LockStanding.of_trial(loud, limits).thieves["T0"].name == "plain BN"
    assert LockStanding.of_trial(loud, limits).verdict == "broken: T0"
