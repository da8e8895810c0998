"""What a lock's attacks come to: the share regained, and what theft has beyond doing without it."""

from __future__ import annotations

from typing import Any

import pytest

from seglock.results.attack import AttackResult, BeyondScratch, beyond_scratch
from tests.report.suites import FLOOR, make_attack, make_proximity


def trained(attack: str, **scores: tuple[float, float]) -> dict[str, Any]:
    """A training attack: (theft, scratch) on 37, ... of 370 labelled images."""
    lines = [
        {"miou": miou, "from": source, "labelled": int(count[1:]), "share": int(count[1:]) / 370}
        for count, pair in scores.items()
        for source, miou in zip(("theft", "scratch"), pair, strict=True)
    ]
    last = lines[-2]
    about = {"miou": last["miou"], "labelled": last["labelled"], "scratch_miou": lines[-1]["miou"]}
    return make_attack(attack, "T1", "np-8", curve=lines, **about)


def lines_of(*results: dict[str, Any]) -> tuple[BeyondScratch, ...]:
    return beyond_scratch(AttackResult.check(one) for one in results)


FINETUNE = trained("finetune", _37=(0.18, 0.16), _101=(0.15, 0.17))
ADAPTER = trained("block-adapter", _37=(0.15, 0.19), _101=(0.16, 0.2))


def test_the_strongest_theft_stands_beside_the_strongest_scratch_at_each_share() -> None:
    few, many = lines_of(FINETUNE, ADAPTER)
    assert (few.labelled, few.attack, few.scratch_miou) == (37, "finetune", 0.19)
    assert few.beyond == pytest.approx(-0.01)
    assert few.share == pytest.approx(0.1)
    assert few.regained == pytest.approx((0.18 - FLOOR) / (0.7 - FLOOR))
    assert (many.labelled, many.attack, many.scratch_miou) == (101, "block-adapter", 0.2)
    assert many.beyond == pytest.approx(-0.04)
    assert BeyondScratch.check(few.document()) == few


def test_a_search_stands_beside_the_best_that_was_trained_on_the_most_images() -> None:
    few, many = lines_of(make_attack("gradient", "T1", "np-8", miou=0.3), FINETUNE, ADAPTER)
    assert few.attack == "finetune"
    assert (many.attack, many.scratch_miou) == ("gradient", 0.2)
    assert many.beyond == pytest.approx(0.1)


def test_other_tiers_and_analyses_have_no_part_in_it() -> None:
    others = [
        make_attack("plain", "T0", "np-8", miou=0.6),
        make_attack("ciphertext-only", "T2", "np-8", miou=0.7),
        make_proximity("np-8"),
    ]
    assert lines_of(*others, FINETUNE) == lines_of(FINETUNE)
    assert lines_of(*others) == ()


def test_without_a_training_there_is_nothing_to_be_beyond() -> None:
    assert lines_of(make_attack("hill-climb", "T1", "np-8")) == ()


def test_an_owner_who_has_nothing_over_the_floor_leaves_nothing_to_regain() -> None:
    line = lines_of(trained("finetune", _37=(0.1, 0.1)) | {"correct": FLOOR})[0]
    assert (line.beyond, line.regained) == (0.0, None)
