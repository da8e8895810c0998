from __future__ import annotations

import warnings
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seglock.config import SearchParams
from seglock.results.tradeoff import (
    beyond_limits,
    dominates,
    hypervolume,
    hypervolume_history,
    measured,
    pareto_front,
    references,
    within_limits,
)
from seglock.results.trial import baseline_for
from tests.search.records import FLOOR, PLAIN, make_baseline, make_stopped, make_trial

# Tenths meet often, so that ties and doubles are drawn too.
SHARE = st.one_of(st.floats(0, 1, allow_subnormal=False), st.integers(0, 10).map(lambda n: n / 10))
POINTS = st.lists(st.tuples(SHARE, SHARE), max_size=12)


def trials(points):
    return [make_trial(number, *point) for number, point in enumerate(points)]


@given(POINTS)
def test_the_front_is_what_no_other_trial_dominates(points) -> None:
    front = {record.number for record in pareto_front(trials(points))}

    for number, point in enumerate(points):
        assert (number in front) == (not any(dominates(other, point) for other in points))


@given(POINTS)
def test_along_the_front_both_figures_fall(points) -> None:
    front = [(r.owner_miou, r.unauthorised) for r in pareto_front(trials(points))]

    assert front == sorted(front, reverse=True)
    assert [low for _, low in front] == sorted((low for _, low in front), reverse=True)


@given(POINTS, st.randoms())
def test_the_front_does_not_depend_on_the_order_of_the_records(points, random) -> None:
    records = trials(points)
    shuffled = random.sample(records, len(records))

    assert pareto_front(shuffled) == pareto_front(records)


def test_equal_trials_stay_on_the_front_together() -> None:
    assert [r.number for r in pareto_front(trials([(0.5, 0.2), (0.5, 0.2), (0.4, 0.2)]))] == [0, 1]


def test_only_complete_trials_are_on_the_front() -> None:
    failed = make_trial(2, 0.9, 0.0, state="failed")
    unmeasured = make_trial(3, None, None)

    assert measured([make_stopped(1), failed, unmeasured, make_trial(0)]) == [make_trial(0)]
    assert pareto_front([make_stopped(1), failed, unmeasured]) == []


@given(POINTS, SHARE, SHARE)
def test_the_hypervolume_is_the_area_of_all_rectangles_together(points, owner, thief) -> None:
    """Counted on the grid that the points themselves draw."""
    xs = sorted({owner, *(max(owner, high) for high, _ in points)})
    ys = sorted({thief, *(min(thief, low) for _, low in points)})
    area = 0.0
    for left, right in pairwise(xs):
        for lower, upper in pairwise(ys):
            if any(high >= right and low <= lower for high, low in points):
                area += (right - left) * (upper - lower)

    assert hypervolume(points, (owner, thief)) == pytest.approx(area, abs=1e-12)


@given(POINTS, st.tuples(SHARE, SHARE))
def test_one_more_point_adds_exactly_where_it_is_not_dominated(points, new) -> None:
    """Measured from the worst corner, where every point counts that is better in both."""
    worst = (0.0, 1.0)
    before, after = hypervolume(points, worst), hypervolume([*points, new], worst)

    assert after >= before
    if any(dominates(point, new) or point == new for point in points):
        assert after == pytest.approx(before, abs=1e-12)


def test_a_point_no_better_than_the_reference_in_one_objective_counts_nothing() -> None:
    assert hypervolume([(0.3, 0.1), (0.9, 0.5), (0.1, 0.0)], (0.3, 0.4)) == 0.0
    assert hypervolume([], (0.0, 1.0)) == 0.0


@given(POINTS)
def test_the_history_ends_with_the_hypervolume_of_all_and_never_falls(points) -> None:
    history = hypervolume_history(trials(points), (0.0, 1.0))

    assert [number for number, _ in history] == list(range(len(points)))
    values = [value for _, value in history]
    assert values == sorted(values)
    if points:
        assert values[-1] == hypervolume(points, (0.0, 1.0))


def test_a_stopped_or_failed_trial_takes_its_turn_in_the_history() -> None:
    records = [make_stopped(1), make_trial(2, state="failed"), make_trial(0, 0.5, 0.2)]

    history = hypervolume_history(records, (0.1, 0.3))

    assert history == [(0, pytest.approx(0.04)), (1, history[0][1]), (2, history[0][1])]


@pytest.mark.parametrize("reference", [(0.0, 1.0), (0.3, 0.6)])
def test_the_history_is_optunas(reference) -> None:
    import optuna

    rng = np.random.default_rng(3)
    points = [(float(x), float(y)) for x, y in rng.random((40, 2))]
    study = optuna.create_study(
        directions=["maximize", "minimize"], storage=optuna.storages.InMemoryStorage()
    )
    for point in points:
        study.add_trial(optuna.trial.create_trial(values=point))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        figure = optuna.visualization.plot_hypervolume_history(study, reference)

    history = hypervolume_history(trials(points), reference)

    assert [number for number, _ in history] == list(figure.data[0].x)
    assert [value for _, value in history] == pytest.approx(list(figure.data[0].y))
    best = {tuple(trial.values) for trial in study.best_trials}
    assert {(r.owner_miou, r.unauthorised) for r in pareto_front(trials(points))} == best


def test_the_references_are_the_floor_and_what_the_plain_network_has() -> None:
    floor, baseline = references(make_baseline(0.5, 0.7))

    assert floor == (FLOOR, FLOOR)
    assert baseline == (FLOOR, pytest.approx(0.6))
    # A lock whose thief is above the floor counts at the second corner only.
    point = (0.5, 0.2)
    assert hypervolume([point], floor) == 0.0
    assert hypervolume([point], baseline) == pytest.approx(0.4 * 0.4)


LIMITS = SearchParams(max_drop=0.02, max_regained=0.15)


@pytest.mark.parametrize(
    ("drop", "regained", "bits", "within"),
    [
        (0.02, 0.15, 64.0, True),
        (-0.1, -0.1, 256.0, True),
        (0.0201, 0.0, 64.0, False),
        (0.0, 0.1501, 64.0, False),
        (0.0, None, 64.0, False),
        (None, 0.0, 64.0, False),
        (0.0, 0.0, 63.99, False),
        (0.0, 0.0, None, False),
    ],
)
def test_all_limits_hold_or_the_trial_is_not_within(drop, regained, bits, within) -> None:
    trial = make_trial(0, drop=drop, regained=regained, key_space_bits=bits)
    assert within_limits(trial, LIMITS) is within


def test_of_a_key_space_the_share_that_is_missing_counts() -> None:
    """33 bits where 64 are asked for would outweigh any drop, were they counted one by one."""
    beyond = beyond_limits(0.0, 0.0, 33.0, LIMITS)
    assert beyond["key_bits"] == pytest.approx(31 / 64)
    assert beyond_limits(0.0, 0.0, None, LIMITS)["key_bits"] == 1
    open_to_all = SearchParams(min_key_bits=0)
    assert beyond_limits(0.0, 0.0, None, open_to_all)["key_bits"] == 0


def test_an_owner_under_the_floor_counts_as_a_model_given_away() -> None:
    generous = SearchParams(max_drop=1.0, max_regained=1.0)

    assert within_limits(make_trial(0, drop=0.0, regained=None), generous)


def test_a_trial_without_a_result_is_within_no_limit() -> None:
    assert not within_limits(make_stopped(0, drop=0.0, regained=0.0), LIMITS)


def test_the_baseline_of_a_cost_is_found_by_epochs_and_side() -> None:
    short, large = make_baseline(PLAIN), make_baseline(PLAIN, image_side=128)

    assert baseline_for([short, large], 6, 128) is large
    assert baseline_for([short, large], 6, 64) is short
    assert baseline_for([short, large], 7, 64) is None
