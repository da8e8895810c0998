from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seglock.config import SearchParams
from seglock.results.tradeoff import dominates
from seglock.search.early_stopping import mean_best, rivals, should_stop
from seglock.search.point import Point
from tests.search.records import EPOCHS, FLOOR, RISE, make_baseline, make_stopped, make_trial

SEARCH = SearchParams(max_drop=0.02, margin=0.05, warmup_epochs=2)
CURVE = st.lists(st.floats(0, 1), min_size=1, max_size=EPOCHS)
BEST_LOCK = make_trial(7, 0.59, FLOOR)
"""Keeps nearly all, and leaves a thief at the floor: dominates whoever ends lower."""


def at(epoch: int, below: float) -> list[float]:
    """A curve that runs ``below`` the baseline's up to ``epoch``."""
    return [value - below for value in RISE[:epoch]]


def test_a_trial_is_behind_by_more_than_drop_and_margin_together() -> None:
    baseline = make_baseline()

    assert should_stop(at(3, 0.069), baseline, [], SEARCH) is None
    stop = should_stop(at(3, 0.071), baseline, [], SEARCH)

    assert stop is not None
    assert (stop.rule, stop.epoch) == ("behind", 3)
    assert "0.3290" in stop.reason
    assert "0.0700" in stop.reason
    assert "0.4000" in stop.reason


def test_the_best_epoch_so_far_is_compared_with_the_baselines_best_so_far() -> None:
    falling = make_baseline(curves=((0.6, 0.1, 0.1, 0.1, 0.1, 0.1),) * 3)

    assert should_stop([0.55, 0.0, 0.0], falling, [], SEARCH) is None
    assert should_stop([0.2, 0.2, 0.2], falling, [], SEARCH) is not None
    assert mean_best(falling, 3) == pytest.approx(0.6)


def test_the_baselines_seeds_are_averaged() -> None:
    spread = make_baseline(curves=((0.2,) * 6, (0.3,) * 6, (0.7,) * 6))

    assert mean_best(spread, 1) == pytest.approx(0.4)
    assert should_stop([0.34] * 3, spread, [], SEARCH) is None
    assert should_stop([0.32] * 3, spread, [], SEARCH) is not None


@pytest.mark.parametrize("epoch", [1, 2])
def test_nothing_is_stopped_while_it_warms_up(epoch: int) -> None:
    assert should_stop([0.0] * epoch, make_baseline(), [BEST_LOCK], SEARCH) is None
    assert should_stop([0.0] * 3, make_baseline(), [BEST_LOCK], SEARCH) is not None


def test_nothing_is_stopped_after_its_last_epoch() -> None:
    assert should_stop([0.0] * EPOCHS, make_baseline(), [BEST_LOCK], SEARCH) is None
    assert should_stop([0.0] * (EPOCHS - 1), make_baseline(), [BEST_LOCK], SEARCH) is not None


def test_a_trial_whose_best_end_a_finished_one_beats_is_dominated() -> None:
    """At epoch 4 the baseline still gains 0.1: 0.48 would end at 0.58."""
    stop = should_stop(at(4, 0.02), make_baseline(), [make_trial(0), BEST_LOCK], SEARCH)

    assert stop is not None
    assert (stop.rule, stop.epoch) == ("dominated", 4)
    assert "trial 7 (np-4)" in stop.reason
    assert "0.5800" in stop.reason
    assert should_stop(at(4, 0.005), make_baseline(), [BEST_LOCK], SEARCH) is None


def test_a_finished_trial_whose_thief_is_above_the_floor_dominates_nobodys_best_end() -> None:
    strong = make_trial(0, 0.9, FLOOR + 1e-6)

    assert should_stop(at(4, 0.02), make_baseline(), [strong], SEARCH) is None


def test_a_trial_that_was_stopped_or_failed_dominates_nobody() -> None:
    others = [make_stopped(1), make_trial(2, 0.9, 0.0, state="failed")]

    assert should_stop(at(4, 0.02), make_baseline(), others, SEARCH) is None


def test_the_best_end_is_of_the_split_that_trials_are_judged_by() -> None:
    """The baselines end at 0.6 on the validation images and at 0.5 on those of the test split."""
    baseline = make_baseline(0.5, 0.5, 0.5)

    assert should_stop(at(4, 0.02), baseline, [make_trial(0, 0.47, FLOOR)], SEARCH) is None
    assert should_stop(at(4, 0.02), baseline, [make_trial(0, 0.49, FLOOR)], SEARCH) is not None


@given(CURVE, st.floats(0, 0.2), st.floats(1e-9, 0.5))
def test_whoever_leads_the_baselines_is_never_behind(curve, lead, margin) -> None:
    leading = [max(mine, theirs + lead) for mine, theirs in zip(curve, RISE, strict=False)]
    search = SearchParams(max_drop=0.0, margin=margin, warmup_epochs=0)

    assert should_stop(leading, make_baseline(), [], search) is None


@given(CURVE, st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), max_size=5))
def test_a_stop_keeps_what_the_rules_promise(curve, finished) -> None:
    trials = [make_trial(number, *point) for number, point in enumerate(finished)]
    baseline = make_baseline()

    stop = should_stop(curve, baseline, trials, SEARCH)

    end = (max(curve) + baseline.mean - mean_best(baseline, len(curve)), FLOOR)
    if stop is None:
        assert (
            len(curve) <= SEARCH.warmup_epochs
            or len(curve) == EPOCHS
            or not any(dominates(point, end) for point in finished)
        )
    else:
        assert SEARCH.warmup_epochs < stop.epoch == len(curve) < EPOCHS
        if stop.rule == "dominated":
            assert any(dominates(point, end) for point in finished)
        else:
            assert max(curve) < mean_best(baseline, len(curve)) - 0.07


@given(CURVE, st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), max_size=5), st.floats(0, 1))
def test_a_stronger_thief_stops_nobody_that_a_weaker_one_let_go_on(curve, finished, more) -> None:
    weaker = [make_trial(number, *point) for number, point in enumerate(finished)]
    stronger = [make_trial(number, o, u + more) for number, (o, u) in enumerate(finished)]

    if should_stop(curve, make_baseline(), weaker, SEARCH) is None:
        assert should_stop(curve, make_baseline(), stronger, SEARCH) is None


def test_a_lock_of_too_few_keys_is_no_rival() -> None:
    small = make_trial(3, 0.59, FLOOR, step="np-2", key_space_bits=9.85)
    tried = make_trial(4, 0.5, 0.2, step="shf-4")
    point = Point("np", 8, None, 0.2, 0.0005, EPOCHS, 64)

    assert rivals(point.recipe, [BEST_LOCK, small, tried], SEARCH) == [BEST_LOCK, tried]
    any_key = SEARCH.model_copy(update={"min_key_bits": 0.0})
    assert rivals(point.recipe, [BEST_LOCK, small], any_key) == [BEST_LOCK, small]


def test_another_key_of_a_lock_has_no_rivals() -> None:
    """That the first one was lucky is what it is to show."""
    better = make_trial(8, 0.6, FLOOR, step="np-8")

    assert rivals(BEST_LOCK.recipe, [BEST_LOCK, better], SEARCH) == ()
    refusing = Point("np", 4, None, 0.2, 0.0005, EPOCHS, 64, refuse=0.1)
    assert rivals(refusing.recipe, [BEST_LOCK], SEARCH) == [BEST_LOCK]
    stopped = make_stopped(9)
    assert rivals(stopped.recipe, [stopped], SEARCH) == [stopped]
