"""Key spaces: formulas against brute force over every mask and permutation of small blocks."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seglock.keys import SecretKey
from seglock.methods import METHODS, FfxPassword
from seglock.methods.method import CAP, choose
from seglock.methods.np import Np
from seglock.methods.shf import moving_at_most
from seglock.steps import Step, has_one_plan, parse_step, plan_count
from seglock.transforms import build_transform, compose
from seglock.transforms.key_space import key_space_bits, small_space

KEY = SecretKey.from_bytes(bytes(range(32)))


def bits(*names: str, password: str = "fixed") -> float:
    return key_space_bits([parse_step(name) for name in names], password)  # type: ignore[arg-type]


def count(*names: str) -> int:
    return plan_count([parse_step(name) for name in names], "fixed")


def test_known_figures() -> None:
    assert round(build_transform("np", 2, KEY).key_space_bits, 2) == 9.85
    assert bits("np-2") == math.log2(924)
    assert bits("shf-2") == math.log2(math.factorial(12))
    assert bits("ffx-2") == math.log2(924)
    assert bits("ffx-2", password="from_key") == 256
    assert compose(["ffx-2"], KEY, "fixed").key_space_bits == math.log2(924)
    assert bits() == 0


@pytest.mark.parametrize("method", ["shf", "np", "ffx"])
@pytest.mark.parametrize("percent", ["", "-f1", "-f99"])
def test_a_whole_image_has_more_plans_than_keys(method: str, percent: str) -> None:
    assert bits(f"{method}-256{percent}") == 256


@pytest.mark.parametrize("n", range(1, 8))
def test_permutations_that_move_few_points(n: int) -> None:
    for k in range(n + 1):
        brute = sum(
            sum(i != j for i, j in enumerate(p)) <= k for p in itertools.permutations(range(n))
        )
        assert moving_at_most(n, k) == brute


@settings(max_examples=300)
@given(n=st.integers(1, 8), data=st.data())
def test_xors_of_masks(n: int, data: st.DataObject) -> None:
    weights = data.draw(st.lists(st.integers(0, n), min_size=1, max_size=4))
    reached = {0}
    for weight in weights:
        masks = [sum(1 << i for i in c) for c in itertools.combinations(range(n), weight)]
        reached = {mask ^ other for mask in reached for other in masks}
    assert Np().plan_count(n, weights, "fixed") == len(reached)


@given(n=st.integers(0, 400), data=st.data())
def test_binomials_up_to_the_cap(n: int, data: st.DataObject) -> None:
    k = data.draw(st.integers(0, n))
    assert choose(n, k) == min(CAP, math.comb(n, k))


EXACT = (
    ["np-1"],
    ["np-1-f0"],
    ["np-1", "np-1"],
    ["np-1-f100", "np-1-f100"],
    ["np-1", "np-1-f67", "np-1"],
    ["shf-1"],
    ["shf-1-f67"],
    ["shf-1-f34"],
    ["shf-1", "shf-1-f67"],
    ["np-1", "shf-1"],
    ["np-1", "shf-1-f67", "np-1"],
    ["shf-1", "np-1", "shf-1"],
    ["ffx-1"],
    ["ffx-1-f0"],
    ["np-1", "ffx-1", "shf-1"],
    ["shf-1-f67", "np-1", "ffx-1-f67"],
    ["shf-2-f20"],
    ["np-2-f20"],
    ["np-2-f10", "np-2-f20"],
    ["shf-2-f20", "ffx-2-f10"],
)


@pytest.mark.parametrize("names", EXACT, ids="+".join)
def test_counts_are_the_plans_there_are(names: list[str]) -> None:
    steps = [parse_step(name) for name in names]
    plans = small_space(steps, "fixed", limit=20_000)
    assert plans is not None
    assert len(plans) == count(*names)
    assert not any(a.equals(b) for a, b in itertools.combinations(plans[:40], 2))
    if len(plans) > 1:
        assert small_space(steps, "fixed", limit=len(plans) - 1) is None
    assert small_space(steps, "fixed", limit=len(plans)) is not None


@pytest.mark.parametrize("names", EXACT, ids="+".join)
def test_every_key_gives_one_of_the_plans_and_all_occur(names: list[str]) -> None:
    plans = small_space([parse_step(name) for name in names], "fixed", limit=20_000)
    assert plans is not None
    seen = set()
    for number in range(300 if len(plans) <= 36 else 5):
        plan = compose(names, KEY.wrong(number), "fixed")._plan
        matches = [i for i, other in enumerate(plans) if other.equals(plan)]
        assert len(matches) == 1
        seen.update(matches)
    if len(plans) <= 36:
        assert len(seen) == len(plans)


@pytest.mark.parametrize(
    ("names", "bound"),
    [
        (["shf-1-f67", "shf-1-f67"], math.factorial(3)),  # 4 * 4 pairs cannot all differ
        (["shf-2-f20", "shf-2-f20"], 67 * 67),  # 4962 permutations move at most four points
        (["shf-2-f25", "shf-2-f20"], (1 + 66 + 440) * 67),
    ],
)
def test_several_partial_shuffles_are_bounded_from_above(names: list[str], bound: int) -> None:
    assert count(*names) == bound
    plans = small_space([parse_step(name) for name in names], "fixed", limit=3000)
    assert plans is None or len(plans) <= bound


def test_a_password_from_the_key_has_no_small_space() -> None:
    assert small_space([parse_step("ffx-1")], "from_key", limit=10**9) is None
    nothing = small_space([parse_step("ffx-1-f0")], "from_key", limit=1)
    assert nothing is not None
    assert len(nothing) == 1


single = st.builds(
    Step,
    st.sampled_from([*METHODS]),
    st.just(2),
    st.none() | st.sampled_from([0, 1, 8, 9, 17, 99, 100]),
)


@given(steps=st.lists(single, max_size=4), password=st.sampled_from(["from_key", "fixed"]))
def test_params_know_which_locks_have_one_plan(steps: list[Step], password: FfxPassword) -> None:
    """A step has one plan where it touches nothing, or everything by a table that all know."""

    def alone(step: Step) -> bool:
        if step.method == "shf":
            return step.count < 2
        open_ends = step.method == "ffx" and password == "from_key"
        return step.count in ((0,) if open_ends else (0, step.positions))

    assert has_one_plan(steps, password) == all(map(alone, steps))


def test_a_space_that_is_too_large_is_refused_before_its_plans_are_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("seglock.transforms.key_space.every_plan", None)
    for names in (["np-256"], ["shf-256"], ["np-2-f0", "ffx-2"]):
        assert small_space([parse_step(name) for name in names], "fixed", limit=100) is None
