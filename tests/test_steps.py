"""Step names, counts and sequences."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seglock.errors import ConfigError, TransformError
from seglock.methods import METHODS
from seglock.steps import (
    FeatureStep,
    Step,
    check_block_divides,
    check_sequence,
    divisors,
    lock_text,
    parse_step,
    read_step,
    split_steps,
)

steps = st.builds(
    Step, st.sampled_from([*METHODS]), st.integers(1, 256), st.none() | st.integers(0, 100)
)


@given(steps)
def test_names_round_trip(step: Step) -> None:
    assert parse_step(str(step)) == step


@given(steps)
def test_count_is_the_floor_of_the_share(step: Step) -> None:
    whole = 3 * step.block_size**2
    percent = step.percent if step.percent is not None else (100 if step.method == "shf" else 50)
    assert step.count == whole * percent // 100


@pytest.mark.parametrize(
    "name", ["", "shf", "shf-", "shf-0", "SHF-4", "np-4-f", "np--4", "np-4 ", 4]
)
def test_malformed_names_are_refused(name: str) -> None:
    with pytest.raises(ConfigError):
        parse_step(name)


@pytest.mark.parametrize("name", ["chp-layer2", "chp-block0", "chp-blocks.3"])
def test_feature_steps_are_told_from_steps_on_images(name: str) -> None:
    step = read_step(name)
    assert isinstance(step, FeatureStep)
    assert str(step) == name
    assert split_steps(["np-4", name]) == ([parse_step("np-4")], [step])
    assert lock_text(f"np-4_{name}_refuse-0-2") == f"np-4+{name} refuse 0.2"
    check_sequence([step, parse_step("np-4"), FeatureStep("other")])
    with pytest.raises(TransformError, match="each layer once"):
        check_sequence([step, parse_step("np-4"), step])


@pytest.mark.parametrize(
    "name", ["chp-", "chp-2", "chp-Layer2", "chp-a-b", "chp-layer2-f50", "chp", "chp-blocks."]
)
def test_malformed_feature_steps_are_refused(name: str) -> None:
    with pytest.raises(ConfigError):
        read_step(name)


def test_ffx_must_come_after_np_and_before_nothing_but_shf() -> None:
    check_sequence(map(parse_step, ["np-4", "shf-4", "ffx-4", "shf-4"]))
    with pytest.raises(TransformError, match=r"write \[np-4, ffx-4\]"):
        check_sequence(map(parse_step, ["ffx-4", "np-4"]))


def test_block_that_does_not_divide_lists_those_that_do() -> None:
    check_block_divides(64, 64)
    with pytest.raises(TransformError, match="use one of 2, 4, 8"):
        check_block_divides(3, 8)


@given(st.integers(1, 2000))
def test_divisors_are_all_divisors(side: int) -> None:
    assert divisors(side) == [d for d in range(1, side + 1) if side % d == 0]
