"""Plans: canonical form, composition as a property, and that they stay unreadable."""

from __future__ import annotations

import copy
import pickle
import traceback

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from seglock.errors import TransformError
from seglock.transforms.plan import COMPLEMENT, IDENTITY, Plan, compose_plans, identity_plan

TABLE = np.random.default_rng(0).permutation(1000)[:256].astype(np.int16)
M, N = 2, 12


def formula(plan: Plan, block: NDArray[np.int64]) -> list[int]:
    return [
        int(plan.tables[plan.selector[i]][block[plan.permutation[i]]]) for i in range(plan.size)
    ]


@st.composite
def plans(draw: st.DrawFn, *tables: NDArray[np.int16]) -> Plan:
    """A random permutation with one of the tables at each position."""
    permutation = np.array(draw(st.permutations(range(N))), dtype=np.int64)
    selector = np.array(draw(st.lists(st.integers(0, len(tables) - 1), min_size=N, max_size=N)))
    dtype = "int16" if any(table.max() > 255 for table in tables) else "uint8"
    return Plan(M, permutation, np.stack(tables), selector.astype(np.uint8), dtype)


shuffles = plans(IDENTITY)
narrow = plans(IDENTITY, COMPLEMENT)
wide = plans(IDENTITY, TABLE)
blocks = arrays.arrays(np.int64, N, elements=st.integers(0, 255))


@given(first=narrow, then=narrow | wide, block=blocks)
def test_composing_is_applying_one_after_the_other(
    first: Plan, then: Plan, block: NDArray[np.int64]
) -> None:
    both = compose_plans(first, then)
    assert formula(both, block) == formula(then, np.array(formula(first, block)))
    assert both.dtype_name == then.dtype_name


@given(first=narrow, middle=wide, then=shuffles, block=blocks)
def test_composing_is_associative(
    first: Plan, middle: Plan, then: Plan, block: NDArray[np.int64]
) -> None:
    left = compose_plans(compose_plans(first, middle), then)
    right = compose_plans(first, compose_plans(middle, then))
    assert left.equals(right)
    assert left.dtype_name == "int16"


@given(plan=narrow | wide)
def test_the_identity_changes_nothing(plan: Plan) -> None:
    assert compose_plans(identity_plan(M), plan).equals(plan)
    assert compose_plans(plan, identity_plan(M)).equals(plan)


@given(first=narrow, second=narrow, block=blocks)
def test_plans_are_equal_where_they_do_the_same(
    first: Plan, second: Plan, block: NDArray[np.int64]
) -> None:
    distinct = np.arange(N) * 16 + 3  # no two values equal, nor equal to a complement
    same = formula(first, distinct) == formula(second, distinct)
    assert first.equals(second) == same
    assert first.equals(Plan(M, first.permutation, first.tables, first.selector))


def test_equal_plans_have_equal_arrays_however_they_are_written() -> None:
    positions = np.arange(N)
    one = Plan(M, positions, np.stack([IDENTITY, COMPLEMENT]), (positions % 2).astype(np.uint8))
    tables = np.stack([TABLE, COMPLEMENT, IDENTITY, COMPLEMENT])
    rows = np.where(positions % 2, np.where(positions > 5, 1, 3), 2).astype(np.uint8)
    other = Plan(M, positions, tables, rows)
    assert one.equals(other)
    assert other.tables.shape == (2, 256)
    assert other.max_value == 255


@pytest.mark.parametrize("table", [COMPLEMENT, TABLE])
def test_nothing_but_shuffling_may_follow_wide_values(table: NDArray[np.int16]) -> None:
    some = np.ones(N, dtype=np.uint8)
    first = Plan(M, np.arange(N), TABLE[None], some * 0, "int16")
    then = Plan(M, np.arange(N), np.stack([IDENTITY, table]), some)
    with pytest.raises(TransformError, match="only SHF may follow FFX") as caught:
        compose_plans(first, then)
    told = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    inner = [line for frame in list(told.stack)[1:] for line in (frame.locals or {}).values()]
    assert inner
    assert not [line for line in inner if "array" in line]


def test_wide_values_may_be_followed_where_they_are_not_touched() -> None:
    half = (np.arange(N) % 2).astype(np.uint8)
    first = Plan(M, np.arange(N), np.stack([IDENTITY, TABLE]), half, "int16")
    then = Plan(M, np.arange(N), np.stack([COMPLEMENT, IDENTITY]), half)
    block = np.arange(N)
    both = compose_plans(first, then)
    assert formula(both, block) == [int(TABLE[i]) if i % 2 else 255 - i for i in range(N)]


def test_block_sides_must_agree() -> None:
    with pytest.raises(TransformError, match="must share one block side") as caught:
        compose_plans(identity_plan(1), identity_plan(2))
    assert "got 1 and 2" in str(caught.value)


def test_a_plan_has_an_entry_for_each_position() -> None:
    with pytest.raises(TransformError, match=r"one entry for each of the 3 \* M \* M positions"):
        Plan(2, np.arange(3), IDENTITY[None], np.zeros(12, dtype=np.uint8))


def test_a_plan_cannot_be_changed_printed_or_written() -> None:
    plan = identity_plan(2)
    for array in (plan.permutation, plan.tables, plan.selector):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1
    assert repr(plan) == str(plan) == "Plan(block_size=2)"
    for write in (pickle.dumps, copy.copy, copy.deepcopy, lambda p: p.__getstate__()):
        with pytest.raises(TransformError, match="as secret as its key"):
            write(plan)


@pytest.mark.parametrize(("block_size", "dtype"), [(9, "uint8"), (10, "uint16"), (150, "uint32")])
def test_a_permutation_takes_the_smallest_type_and_is_shared_where_nothing_moves(
    block_size: int, dtype: str
) -> None:
    still, again = identity_plan(block_size), identity_plan(block_size)
    assert still.permutation is again.permutation
    moving = Plan(block_size, np.arange(still.size)[::-1], still.tables, still.selector)
    assert moving.permutation.dtype == still.permutation.dtype == dtype
    assert np.array_equal(moving.permutation, np.arange(still.size)[::-1])
    assert compose_plans(moving, moving).permutation is still.permutation
