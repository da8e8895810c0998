"""What every attack must do. A new attack is tested by being entered in the registry."""

from __future__ import annotations

import gc
import json
import types
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pytest
from torch import nn

from seglock.attacks import ATTACKS, Attack, Budget, Finding, Meter, find
from seglock.errors import AttackError
from seglock.keys import SecretKey
from seglock.transforms import FeaturePlan, Transform
from seglock.transforms.plan import Plan
from tests.attacks.scene import KEY, OTHER, Scene, scene

VARIED = (("np-2",), ("np-2", "ffx-2", "shf-2"), ("chp-block2",), ("np-2", "chp-block1"))
"""To one of them at least each attack applies."""
LOCKS = (*VARIED, ("shf-2",))
FIELDS = {
    "attack", "tier", "lock", "budget", "queries", "seconds", "miou", "floor", "correct",
    "regained", "plan_found", "above_chance",
}  # fmt: skip
BUDGET = Budget(queries=6, seconds=60.0, labelled=(0.5,))


def meter() -> Meter:
    """One that no time passes by: what time ends depends on the machine."""
    return Meter(BUDGET, clock=lambda: 0.0)


every_attack = pytest.mark.parametrize("attack", ATTACKS.values(), ids=lambda attack: attack.name)
every_lock = pytest.mark.parametrize("steps", LOCKS, ids="+".join)
varied_locks = pytest.mark.parametrize("steps", VARIED, ids="+".join)


@pytest.fixture
def attacked(attack: Attack, steps: tuple[str, ...]) -> Scene:
    made = scene(*steps)
    reason = attack.why_not(made.facts)
    if reason:
        pytest.skip(reason)
    return made


class Known(NamedTuple):
    """What an attack finds, what it spent on that, and what the oracle answered."""

    finding: Finding
    spent: Meter
    answers: dict[bytes, np.ndarray]


KNOWN: dict[tuple[str, ...], Known] = {}


def known(attack: Attack, made: Scene) -> Known:
    """Once for all tests."""
    name = attack.name, *map(str, (*made.facts.steps, *made.facts.features))
    if name not in KNOWN:
        answers: dict[bytes, np.ndarray] = {}

        def recorded(images: np.ndarray) -> np.ndarray:
            answers[images.tobytes()] = made.transform.encrypt(images)
            return answers[images.tobytes()]

        material = made.material(attack.tier)
        oracle, spent = recorded if material.oracle else None, meter()
        finding = find(attack, replace(material, oracle=oracle), spent, 0)
        KNOWN[name] = Known(finding, spent, answers)
    return KNOWN[name]


def same(one: Finding, other: Finding) -> bool:
    """Whether two findings are equal, to the bit."""
    if (len(one.candidates), one.chosen, one.about) != (
        len(other.candidates), other.chosen, other.about,
    ):  # fmt: skip
        return False
    return all(
        a.about == b.about
        and same_plan(a.plan, b.plan)
        and all(map(FeaturePlan.equals, a.features, b.features))
        and same_network(a.network, b.network)
        for a, b in zip(one.candidates, other.candidates, strict=True)
    )


def same_plan(one: Plan | None, other: Plan | None) -> bool:
    if one is None or other is None:
        return one is other
    return one.equals(other)


def same_network(one: nn.Module | None, other: nn.Module | None) -> bool:
    if one is None or other is None:
        return one is other
    a, b = one.state_dict(), other.state_dict()
    return a.keys() == b.keys() and all(bool((a[k] == b[k]).all()) for k in a)


@every_attack
@every_lock
def test_a_poisoned_secret_gives_the_same_answer(
    attack: Attack, attacked: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All the attack may know of the key are answers: these are replayed, and the key is gone."""
    honest, _, answers = known(attack, attacked)
    material = attacked.material(attack.tier)
    poisoned = replace(
        material, oracle=(lambda images: answers[images.tobytes()]) if material.oracle else None
    )
    own = SecretKey.derive

    def no_secret(key: SecretKey, use: str) -> bytes:
        assert key != KEY, "the attack asked the secret key"
        return own(key, use)

    monkeypatch.setattr(SecretKey, "derive", no_secret)
    monkeypatch.setattr("tests.attacks.scene.KEY", OTHER)
    assert same(find(attack, poisoned, meter(), 0), honest)


@every_attack
@every_lock
def test_its_material_holds_no_secret(attack: Attack, attacked: Scene) -> None:
    material = replace(attacked.material(attack.tier), oracle=None)
    held = [
        kind
        for kind in reachable(material)
        if isinstance(kind, SecretKey | Plan | FeaturePlan | Transform)
    ]
    assert not held


def reachable(root: object) -> Iterator[object]:
    """Everything an object leads to, but for modules, types and what functions find in globals."""
    seen, waiting = set[int](), [root]
    while waiting:
        item = waiting.pop()
        skipped = isinstance(item, types.ModuleType | type | types.CodeType)
        if id(item) in seen or skipped:
            continue
        seen.add(id(item))
        yield item
        if isinstance(item, types.MethodType):
            waiting += [item.__self__, item.__func__]
        elif isinstance(item, types.FunctionType):
            waiting += [cell.cell_contents for cell in item.__closure__ or ()]
        else:
            waiting += gc.get_referents(item)


@every_attack
@varied_locks
def test_it_sees_neither_the_test_split_nor_what_the_judge_knows(
    attack: Attack, attacked: Scene
) -> None:
    """Another plan in the judge's hands moves the agreement, never what was found."""
    test, facts = attacked.test, attacked.facts
    other = replace(test, images=255 - test.images, masks=test.masks[::-1].copy())
    moved = replace(attacked, test=other)
    finding = known(attack, attacked).finding
    plan = scene(*map(str, (*facts.steps, *facts.features)), key=OTHER).transform
    moved.judge(plan).judge(attack, finding, meter(), lock="it", correct=0.9)
    assert same(finding, find(attack, moved.material(attack.tier), meter(), 0))
    shared = [
        value for value in vars(attacked.material(attack.tier)).values()
        if isinstance(value, np.ndarray) and np.shares_memory(value, test.images)
    ]  # fmt: skip
    assert not shared
    with pytest.raises(AttackError, match="must not be the test split"):
        replace(attacked, attacker=test).material(attack.tier)


@every_attack
@varied_locks
def test_its_result_is_complete_and_plain(attack: Attack, attacked: Scene) -> None:
    finding, spent, _ = known(attack, attacked)
    result = attacked.judge().judge(attack, finding, spent, lock="it", correct=0.9).published
    assert set(result) >= FIELDS
    assert json.loads(json.dumps(result, allow_nan=False)) == result
    assert (result["attack"], result["tier"], result["lock"]) == (attack.name, attack.tier, "it")
    assert 0 <= result["miou"] <= 1
    gain = result["correct"] - result["floor"]
    assert result["regained"] == pytest.approx((result["miou"] - result["floor"]) / gain)
    assert 0 < result["queries"] <= BUDGET.queries
    assert result["seconds"] >= 0


@every_attack
def test_it_says_why_it_does_not_apply(attack: Attack) -> None:
    baseline = scene()
    assert attack.why_not(baseline.facts)
    with pytest.raises(AttackError, match="must apply to the lock, but"):
        find(attack, baseline.material(attack.tier), meter(), 0)


@every_attack
def test_it_asks_for_the_material_of_its_tier(attack: Attack) -> None:
    if attack.tier == "T0":
        return
    made = next(s for s in (scene(*steps) for steps in LOCKS) if not attack.why_not(s.facts))
    with pytest.raises(AttackError, match=f"of tier {attack.tier} needs"):
        find(attack, made.material("T0"), meter(), 0)


@pytest.mark.parametrize(
    "limits", [{"queries": 0}, {"seconds": 0.0}, {"labelled": ()}, {"labelled": (0.1, 0.0)}]
)
def test_a_budget_of_zero_is_refused(limits: dict[str, Any]) -> None:
    values = {"queries": 1, "seconds": 1.0, "labelled": (0.1,)} | limits
    with pytest.raises(AttackError, match="must be above 0"):
        Budget(**values)


@every_attack
@varied_locks
def test_time_ends_it(attack: Attack, attacked: Scene) -> None:
    """With its time spent at once an attack still hands back something that can be judged."""
    finding = find(attack, attacked.material(attack.tier), late(), 0)
    assert finding.candidates
    attacked.judge().judge(attack, finding, late(), lock="it", correct=0.9)


def late() -> Meter:
    ticks = iter(range(10**9))
    return Meter(Budget(queries=10**6, seconds=0.5), clock=lambda: float(next(ticks)))
