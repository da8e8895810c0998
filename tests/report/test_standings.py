"""Whether a lock holds, in the report's words and never against the attacks."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from seglock.report.numbers import NOTHING
from seglock.report.standings import holds_text, row, sentences, standings, thief_text
from seglock.results.attack import AttackResult
from seglock.results.evaluation import Evaluation
from seglock.results.standing import LockLimits
from tests.report.conftest import make_evaluation
from tests.results.test_standing import attack

LOCK: dict[str, Any] = {
    "steps": ["np-8"], "owner_miou": 0.7, "floor": 0.2, "drop": 0.0, "key_space_bits": 186.5,
    "seconds": 20.0,
}  # fmt: skip
BASELINE = {**LOCK, "steps": [], "seconds": 10.0}


def told_of(
    locks: dict[str, Any], attacks: list[AttackResult], *limits: LockLimits
) -> dict[str, Any]:
    """``standings`` of locks whose plain images get 0.21, and all else 0.2."""
    evaluations = []
    for name, figures in locks.items():
        values = make_evaluation(name, figures["steps"])
        scores = values["scores"]
        scores |= {"owner_miou": 0.7, "floors": dict.fromkeys(("constant", "prior", "floor"), 0.2)}
        scores["plain"]["miou"] = 0.21
        if figures["steps"]:
            scores["plain_bn"]["miou"] = scores["incorrect"]["p95"] = 0.2
        evaluations.append(Evaluation.check(values | {"key_space_bits": 186.5}))
    return standings(locks, evaluations, attacks, *limits)


def test_a_lock_that_an_attack_breaks_is_called_broken() -> None:
    curve = [
        {"miou": miou, "from": source, "labelled": 51}
        for source, miou in (("theft", 0.69), ("scratch", 0.3))
    ]
    found = [attack("finetune", "T1", 0.69, curve=curve), attack("hill-climb", "T1", 0.4)]
    told = told_of({"baseline": BASELINE, "np-8": LOCK}, found)["locks"]
    assert list(told) == ["np-8"]
    assert (told["np-8"]["cost"], told["np-8"]["broken"]) == (2.0, ["T1"])
    assert thief_text(told["np-8"], "T1") == "0.6900 [0.98] finetune"
    assert thief_text(told["np-8"], "T0") == "0.2100 [0.02] plain"
    assert thief_text(told["np-8"], "T3") == NOTHING
    *_, sentence = sentences({"limits": asdict(LockLimits()), "locks": told})
    assert sentence.startswith("np-8: T0 0.2100 [0.02] plain; T1 0.6900")
    assert "+0.3900 beyond scratch (finetune, 51 images)" in sentence


def test_a_lock_that_nobody_attacked_does_not_hold() -> None:
    told = told_of({"np-8": LOCK}, [])["locks"]
    assert holds_text(told["np-8"]) == "not attacked"
    assert told["np-8"]["cost"] is None
    tried = told_of({"np-8": LOCK}, [attack("a", "T0", 0.2)])["locks"]["np-8"]
    assert holds_text(tried) == "holds to T0"
    assert "No attack was run" in list(sentences(told_of({"np-8": LOCK}, [])))[-1]


def test_limits_are_the_user_s_own() -> None:
    told = told_of({"np-8": LOCK | {"drop": 0.03}}, [], LockLimits(drop=0.02, bits=200))
    assert told["limits"] == {"drop": 0.02, "regained": 0.05, "beyond": 0.02, "bits": 200}
    assert told["locks"]["np-8"]["broken"] == ["bits", "drop"]
    assert holds_text(told["locks"]["np-8"]) == "broken: bits"


def test_a_row_is_narrow_and_whole() -> None:
    found = [attack("a", "T0", 0.19), attack("b", "T2", 0.7), attack("c", "T3", 0.45)]
    locks: dict[str, Any] = {"np-8": LOCK | {"lock": "np-8"}}
    told = told_of(locks, found)["locks"]["np-8"]
    assert row(locks["np-8"], told) == [
        "np-8", "holds to T0", "0.7000", "0.0000", "186", "0.02", NOTHING, "1.00", "0.50", NOTHING,
    ]  # fmt: skip
