"""What is published of a lock narrows its plan down by scores alone.

A reader has the code, the network, the photos, the pairs' plain images, the seed and all that is
published. For each of the 924 masks of np-2 it makes up the result anew, as if that mask were the
secret one, and drops the mask where anything published contradicts; here it tries every fourth
of them, the secret one too. Left out are only

- the scores (mean IoU on the test split, what follows from it, and the share of images that are
  refused): they are published for good,
  and testing a mask on them costs one evaluation;
- seconds on the clock.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from seglock.attacks import (
    ANALYSES,
    ATTACKS,
    Analysis,
    Attack,
    Budget,
    Candidate,
    Finding,
    Judge,
    Meter,
    Verdict,
    find,
    find_any,
    run_analysis,
)
from seglock.attacks.judge import Answers
from seglock.transforms import Transform, incorrect_transforms
from seglock.transforms.key_space import small_space
from tests.attacks.scene import CLASSES, KEY, OTHER, Scene, scene

BUDGET = Budget(queries=6, seconds=600.0, labelled=(0.5,))
SCORES = {"miou", "refused", "mean", "max", "min", "regained", "correct", "scratch_miou"}
LEFT_OUT = SCORES | {"seconds"}
COARSE = {"plan_found", "above_chance"}
REMOVED = (
    "plan_agreement", "plan_agreement_exact", "agreement", "chance", "whole_plan", "table_error",
    "psnr", "ssim", "determined", "pairs_needed", "matching_error",
)  # fmt: skip
VARIED = (("np-2",), ("shf-4",), ("np-2", "ffx-2", "shf-2"))
"""Each attack applies to one of them at least; of shf-4 one bit more is published."""
LOCKS = (*VARIED, ("shf-2",), ("ffx-2",))
EVERYTHING = [*ATTACKS, *ANALYSES]
ASKING = [attack.name for attack in ATTACKS.values() if attack.tier in ("T2", "T3")]
"""Attacks that have answers of the owner's client, which no reader has."""
TRAINING = ("disguise-seen", "distil")
"""Those of them that train on the answers: one mask in `APART` stands for all of them."""
APART = 21
EVERY = 4
NOT_FOUND = 300 // EVERY

pytestmark = pytest.mark.usefixtures("no_scores")

every_lock = pytest.mark.parametrize("steps", LOCKS, ids="+".join)


@pytest.fixture
def no_scores(monkeypatch: pytest.MonkeyPatch) -> None:
    """Scores are left out, and take most of the time; so do many random plans."""
    monkeypatch.setattr(Judge, "_answers", lambda *given: Answers(0.5, 0.0))
    monkeypatch.setattr("seglock.attacks.judge.RANDOM_PLANS", 100)


def meter() -> Meter:
    return Meter(BUDGET, clock=lambda: 0.0)


def found(attack: Attack, made: Scene, transform: Transform) -> tuple[Finding, Meter]:
    spent = meter()
    return find(attack, made.material(attack.tier, transform), spent, 0), spent


def verdict(
    name: str, made: Scene, transform: Transform, finding: tuple[Finding, Meter] | None = None,
    secret: bytes = bytes(32),
) -> Verdict:  # fmt: skip
    """The result of an attack or analysis if ``transform`` were the lock's own."""
    one, judge = find_any(name), made.judge(transform)
    if isinstance(one, Analysis):
        return run_analysis(
            one, made.facts, judge, BUDGET, lock="it", correct=0.9, seed=0, secret=secret
        )
    own, spent = finding or found(one, made, transform)
    return judge.judge(one, own, spent, lock="it", correct=0.9)


def told(value: Any) -> Any:
    """A published value without what the reader's test leaves out."""
    if isinstance(value, dict):
        return {name: told(inner) for name, inner in value.items() if name not in LEFT_OUT}
    return [told(inner) for inner in value] if isinstance(value, list) else value


@lru_cache
def masks() -> tuple[Transform, ...]:
    """Those that are tried, the secret one first."""
    own = scene("np-2").transform
    plans = small_space(own.steps, "from_key", 1000)
    assert plans is not None
    assert len(plans) == 924
    every = [Transform(own.steps, plan) for plan in plans]
    right = next(number for number, mask in enumerate(every) if mask.same_plan(own))
    return tuple([*every[right:], *every[:right]][::EVERY])


class Dot(nn.Module):
    """A network of one layer, which trains in no time."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.norm, self.classifier = nn.BatchNorm2d(3), nn.Conv2d(3, CLASSES, 1)

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"out": self.classifier(self.norm(x))}


def quick(name: str, *steps: str) -> Scene:
    """With a small network for attacks that ask: it is copied, or trained, for each mask."""
    made = scene(*steps)
    return replace(made, network=Dot()) if name in ASKING else made


@lru_cache
def possible(name: str) -> tuple[frozenset[int], bool | None]:
    """The masks that what is published allows, and whether the attack says to have found it."""
    one, made = find_any(name), quick(name, "np-2")
    published = verdict(name, made, made.transform, secret=KEY.derive("it")).published
    # Without answers of the owner's client an attack finds the same under any mask.
    own = isinstance(one, Analysis) or name in ASKING
    same = None if own else found(one, made, made.transform)  # type: ignore[arg-type]
    apart = APART if name in TRAINING else 1
    allowed = frozenset(
        number + other for number, mask in list(enumerate(masks()))[::apart]
        if told(verdict(name, made, mask, same).published) == told(published)
        for other in range(apart)
    )  # fmt: skip
    return allowed, published["plan_found"]


@pytest.mark.parametrize("name", EVERYTHING)
def test_a_reader_who_tries_every_mask_keeps_hundreds(name: str) -> None:
    if reason := find_any(name).why_not(scene("np-2").facts):
        pytest.skip(reason)
    allowed, is_found = possible(name)
    assert 0 in allowed
    # Who has only what is published does not have the ciphertexts and pairs of T2 and T3 either.
    assert len(allowed) >= NOT_FOUND
    assert not is_found or name in ASKING


def test_all_results_together_leave_hundreds() -> None:
    allowed = frozenset(range(len(masks())))
    facts = scene("np-2").facts
    for name in (name for name in EVERYTHING if not find_any(name).why_not(facts)):
        allowed &= possible(name)[0]
    assert len(allowed) >= NOT_FOUND
    assert 0 in allowed


@pytest.mark.parametrize("name", ASKING)
@every_lock
def test_what_it_says_is_no_function_of_the_plan(name: str, steps: tuple[str, ...]) -> None:
    attack, made = ATTACKS[name], quick(name, *steps)
    if attack.why_not(made.facts):
        pytest.skip(attack.why_not(made.facts) or "")
    first, spent = found(attack, made, made.transform)
    for number in range(2):
        key = OTHER.wrong(number)
        other, also = found(attack, made, scene(*steps, key=key).transform)
        assert other.about == first.about
        assert [one.about for one in other.candidates] == [one.about for one in first.candidates]
        assert also.queries == spent.queries


@every_lock
@pytest.mark.parametrize("chosen", [None, 0])
def test_two_judges_tell_the_same_of_the_same_candidates(
    steps: tuple[str, ...], chosen: int | None
) -> None:
    """Whatever the true plan is, but for the two coarse truths about the chosen one, and scores."""
    one = scene(*steps)
    wrong = incorrect_transforms(one.transform.steps, KEY, 2)
    plans = [one.transform._plan, *(other._plan for other in wrong)]
    finding = Finding(
        tuple(Candidate(plan, about={"key": i}) for i, plan in enumerate(plans)), chosen
    )
    results = [
        verdict(name, one, transform, (finding, meter())).published
        for transform in (one.transform, *wrong)
        for name in ("random-keys", "ciphertext-only")
    ]
    for name in ("random-keys", "ciphertext-only"):
        mine = [result for result in results if result["attack"] == name]
        plain = [{k: v for k, v in told(result).items() if k not in COARSE} for result in mine]
        assert plain[0] == plain[1] == plain[2]
        truths = [result["plan_found"] for result in mine]
        assert truths == ([None] * 3 if chosen is None else [True, False, False])


@pytest.mark.parametrize("name", EVERYTHING)
@pytest.mark.parametrize("steps", VARIED, ids="+".join)
def test_no_exact_figure_is_published(name: str, steps: tuple[str, ...]) -> None:
    made = quick(name, *steps)
    if find_any(name).why_not(made.facts):
        pytest.skip(find_any(name).why_not(made.facts) or "")
    both = verdict(name, made, made.transform)
    published = [*walk(both.published)]
    assert not {field for field, _ in published} & set(REMOVED)
    coarse = [field for field, _ in published if field in COARSE]
    assert sorted(coarse) == sorted(COARSE), (
        "once, at the top: each line would be one more equation"
    )
    assert {type(both.published[field]) for field in COARSE} <= {bool, type(None)}


def walk(value: Any) -> Iterator[tuple[str, Any]]:
    for field, inner in value.items():
        yield field, inner
        for item in inner if isinstance(inner, list) else [inner]:
            if isinstance(item, dict):
                yield from walk(item)


@pytest.mark.parametrize(
    ("steps", "is_told"),
    [("np-4", False), ("shf-2", False), ("ffx-4", False), ("shf-4", True), ("np-8", True)],
)
def test_chance_is_told_of_where_plans_are_many(steps: str, is_told: bool) -> None:
    """ffx-4 has 45 bits of positions, however many its password has."""
    made = scene(steps)
    right = Finding((Candidate(made.transform._plan),))
    other = Finding((Candidate(scene(steps, key=OTHER).transform._plan),))
    results = [
        verdict("plain", made, made.transform, (f, meter())).published for f in (right, other)
    ]
    assert [result["plan_found"] for result in results] == [True, False]
    expected = [True, False] if is_told else [None, None]
    assert [result["above_chance"] for result in results] == expected


def test_a_third_of_a_permutation_is_above_chance() -> None:
    made = scene("shf-4")
    truth = made.transform._plan
    order = truth.permutation.copy()
    order[:32] = np.roll(order[:32], 1)
    estimate = replace(truth, permutation=order)
    finding = (Finding((Candidate(estimate),)), meter())
    result = verdict("plain", made, made.transform, finding).published
    assert (result["plan_found"], result["above_chance"]) == (False, True)
