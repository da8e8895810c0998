"""What the judge really writes is what the report reads, and what its tests make up."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest

from seglock.attacks import ANALYSES, ATTACKS, Budget, run_analysis, run_attack
from seglock.report.attackcharts import (
    draw_courses,
    draw_proximity,
    draw_shares,
    with_changes,
    with_course,
    with_shares,
)
from seglock.report.leaderboard import spent_text
from seglock.results.attack import AttackResult
from tests.attacks.scene import scene
from tests.report.suites import make_searched, make_trained

BUDGET = Budget(queries=12, seconds=60.0, labelled=(0.5, 1.0))


@lru_cache
def judged(attack: str) -> dict[str, Any]:
    """One attack's result as its JSON has it."""
    made, found = scene("np-2", epochs=1), ATTACKS[attack]
    result = run_attack(
        found, made.material(found.tier), made.judge(), BUDGET, lock="np-2", correct=0.8
    ).published
    values: dict[str, Any] = json.loads(json.dumps(result))
    return values


@pytest.mark.parametrize("attack", ["finetune", "stem-finetune", "repair", "block-adapter"])
def test_shares_are_read(attack: str, tmp_path: Path) -> None:
    values = judged(attack)
    result = AttackResult.check(values)
    assert json.dumps(result.document()) == json.dumps(values)
    assert with_shares([result]) == [result]
    assert [(line.source, line.share) for line in result.curve] == [
        ("theft", 0.5), ("scratch", 0.5), ("theft", 1.0), ("scratch", 1.0),
    ]  # fmt: skip
    assert set(make_trained(attack, "np-2")) == set(values)
    assert set(make_trained(attack, "np-2")["curve"][0]) == set(values["curve"][0])
    assert result.labelled == values["curve"][-1]["labelled"]
    spent = spent_text(result.document())
    assert spent.endswith(f" s, {result.labelled} labelled")
    draw_shares([result], tmp_path / "a.png")


@pytest.mark.parametrize("attack", ["random-search", "hill-climb", "unsupervised"])
def test_courses_are_read(attack: str, tmp_path: Path) -> None:
    values = judged(attack)
    result = AttackResult.check(values)
    assert json.dumps(result.document()) == json.dumps(values)
    assert with_course([result]) == [result]
    assert result.score == ("signal" if attack == "unsupervised" else "cross-entropy")
    assert set(make_searched(attack, "np-2")) <= set(values)
    draw_courses([result], {"np-2": ["np-2"]}, tmp_path / "a.png")


def test_proximity_is_read(tmp_path: Path) -> None:
    made = scene("np-2", epochs=1)
    analysis = ANALYSES["key-proximity"]
    values = run_analysis(
        analysis, made.facts, made.judge(), BUDGET, lock="np-2", correct=made.judge().correct(),
        secret=bytes(32),
    ).published  # fmt: skip
    found = AttackResult.check(json.loads(json.dumps(values)))
    assert json.dumps(found.document()) == json.dumps(values)
    assert with_changes([found]) == [found]
    assert [(p.changes, p.min, p.max) for p in found.curve] == [
        (line["changes"], line["min"], line["max"]) for line in values["curve"]
    ]
    draw_proximity([found], tmp_path / "a.png")
    assert (tmp_path / "a.png").stat().st_size
