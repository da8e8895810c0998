from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seglock.config import SearchParams
from seglock.results.tradeoff import pareto_front, within_limits
from seglock.search.recommend import recommend
from tests.search.records import FLOOR, PLAIN, make_baseline, make_stopped, make_trial

LIMITS = SearchParams(max_drop=0.025, max_regained=0.15)
BASELINES = [make_baseline()]


def trial(number: int, drop: float, regained: float, **changes):
    """A trial with this drop and this much regained."""
    owner = PLAIN - drop
    return make_trial(number, owner, FLOOR + regained * (owner - FLOOR), **changes)


def test_the_least_regained_within_both_limits_is_recommended() -> None:
    records = [
        trial(0, 0.03, 0.00, step="shf-4"),  # costs too much
        trial(1, 0.00, 0.20, step="np-2"),  # gives too much away
        trial(2, 0.02, 0.05, step="np-4"),
        trial(3, 0.01, 0.10, step="np-8"),
    ]

    found = recommend(records, BASELINES, LIMITS)

    assert (found.status, found.trial, found.lock) == ("recommended", 2, "np-4")
    assert found.steps == ("np-4",)
    assert found.nearest is None
    for figure in ("0.5800", "0.0200", "0.0250", "0.0500", "0.1500", "of 2 choices", "188 bits"):
        assert figure in found.reason


def test_the_least_drop_decides_where_nobody_regains_anything() -> None:
    """Below the floor there is nothing to win: 0.02 of the owner's is too much for it."""
    records = [trial(0, 0.02, -0.09, step="shf-4"), trial(1, 0.01, -0.01, step="np-4")]

    assert recommend(records, BASELINES, LIMITS).lock == "np-4"
    assert recommend(records, BASELINES, LIMITS).trial == 1


def test_the_only_choice_is_called_that() -> None:
    assert "only choice" in recommend([trial(0, 0.0, 0.0)], BASELINES, LIMITS).reason


@given(
    st.lists(
        st.tuples(st.floats(0.05, 0.7), st.floats(0, 0.7)), min_size=1, max_size=10, unique=True
    ),
    st.floats(0, 0.3),
    st.floats(0, 0.6),
)
def test_with_a_key_a_lock_it_is_of_the_front_and_keeps_the_limits(points, drop, regained) -> None:
    search = SearchParams(max_drop=drop, max_regained=regained)
    records = [make_trial(n, *point, step=f"np-{n + 1}") for n, point in enumerate(points)]

    found = recommend(records, BASELINES, search)

    kept = [record for record in pareto_front(records) if within_limits(record, search)]
    if found.status == "recommended":
        assert found.trial in {record.number for record in kept}
        chosen = records[found.trial]
        least = min(max(0.0, r.regained) for r in kept)
        assert max(0.0, chosen.regained) == least
        assert chosen.drop == min(r.drop for r in kept if max(0.0, r.regained) == least)
    else:
        assert found.status == "none"
        assert kept == []
        assert found.nearest is not None


def test_a_lock_tried_with_several_keys_must_hold_with_all_of_them() -> None:
    lucky = [trial(0, 0.01, 0.01), trial(2, 0.03, 0.01)]
    steady = trial(1, 0.02, 0.10, step="np-8")

    assert recommend([*lucky, steady], BASELINES, LIMITS).lock == "np-8"


def test_a_lock_tried_with_several_keys_is_ranked_by_its_mean() -> None:
    uneven = [trial(0, 0.01, 0.01), trial(2, 0.01, 0.13)]
    steady = trial(1, 0.01, 0.06, step="np-8")

    found = recommend([*uneven, steady], BASELINES, LIMITS)
    assert found.lock == "np-8"

    found = recommend([*uneven, trial(1, 0.01, 0.08, step="np-8")], BASELINES, LIMITS)
    assert (found.lock, found.trial) == ("np-4", 0)
    assert "0.0700" in found.reason
    assert "means of 2 keys" in found.reason


def test_a_mean_within_the_limits_is_not_called_too_much_without_the_key_that_is() -> None:
    found = recommend([trial(0, 0.01, 0.01), trial(1, 0.03, 0.01)], BASELINES, LIMITS)
    assert found.status == "none"
    assert "a drop of 0.0200 (limit 0.0250)" in found.reason
    assert "means of 2 keys" in found.reason
    assert found.reason.endswith("; of its 2 keys 1 breaks a limit")


def test_one_lock_with_two_recipes_is_two_choices() -> None:
    records = [trial(0, 0.01, 0.01, lr=0.1), trial(1, 0.5, 0.5, lr=0.4)]

    found = recommend(records, BASELINES, LIMITS)

    assert (found.status, found.trial) == ("recommended", 0)


def test_a_lock_that_was_once_stopped_for_being_behind_does_not_hold() -> None:
    once = [trial(0, 0.01, 0.01), make_stopped(1, "behind")]

    found = recommend(once, BASELINES, LIMITS)

    assert found.status == "none"
    assert found.nearest is not None
    assert "stopped for being behind" in found.reason


def test_a_lock_that_was_once_stopped_for_another_reason_still_holds() -> None:
    once = [trial(0, 0.01, 0.01), make_stopped(1, "dominated"), make_trial(2, state="failed")]

    assert recommend(once, BASELINES, LIMITS).status == "recommended"


def test_where_no_lock_keeps_the_limits_the_nearest_is_named() -> None:
    records = [trial(0, 0.0, 0.6, step="np-2"), trial(1, 0.035, 0.0, step="shf-4")]

    found = recommend(records, BASELINES, LIMITS)

    assert (found.status, found.trial, found.lock, found.steps) == ("none", None, None, None)
    assert found.nearest.document() == {
        "trial": 1,
        "lock": "shf-4",
        "steps": ["shf-4"],
        "drop": pytest.approx(0.035),
        "regained": 0.0,
        "key_space_bits": 188.0,
    }
    assert "no lock keeps all limits" in found.reason
    assert "shf-4" in found.reason


WEAK = {"steps": ("np-2-f75", "shf-2-f75"), "key_space_bits": 32.98}


def test_a_lock_of_fewer_keys_than_asked_for_is_not_recommended() -> None:
    records = [trial(0, 0.0, 0.0, **WEAK), trial(1, 0.02, 0.14)]

    assert recommend(records, BASELINES, LIMITS).lock == "np-4"

    found = recommend(records[:1], BASELINES, LIMITS)
    assert (found.status, found.lock) == ("none", None)
    assert found.nearest is not None
    assert found.nearest.key_space_bits == 32.98
    assert "its key space has 32 bits (limit 64)" in found.reason

    fewer = LIMITS.model_copy(update={"min_key_bits": 32.0})
    assert recommend(records, BASELINES, fewer).trial == 0


def test_what_a_small_key_space_lacks_is_told_in_units_of_its_limit() -> None:
    """Half of the bits are missing: that is less than a drop of one and a half limits."""
    records = [trial(0, 0.0, 0.0, **WEAK), trial(1, 0.06, 0.0)]

    found = recommend(records, BASELINES, LIMITS)

    assert found.nearest is not None
    assert found.nearest.trial == 0


def test_where_every_lock_has_too_few_keys_the_seeds_change_nothing() -> None:
    assert recommend([trial(0, 0.0, 0.0, **WEAK)], SPREAD, LIMITS).status == "none"


def test_with_and_without_a_refusal_is_two_choices() -> None:
    records = [trial(0, 0.0, 0.1), trial(1, 0.01, 0.0, refuse=0.1), trial(2, 0.1, 0.5)]

    found = recommend(records, BASELINES, LIMITS)

    assert (found.status, found.trial, found.refuse) == ("recommended", 1, 0.1)


@pytest.mark.parametrize(("too_much", "nearest"), [(0.195, "np-2"), (0.225, "shf-4")])
def test_the_nearest_is_told_in_units_of_the_limits(too_much: float, nearest: str) -> None:
    """A drop of 0.035 is 0.4 limits too large; 0.195 regained 0.3 limits, 0.225 half a limit."""
    records = [trial(0, 0.0, too_much, step="np-2"), trial(1, 0.035, 0.0, step="shf-4")]

    found = recommend(records, BASELINES, LIMITS)

    assert found.nearest is not None
    assert found.nearest.lock == nearest


def test_of_equals_the_first_trial_is_named() -> None:
    records = [trial(4, 0.01, 0.05, step="np-8"), trial(1, 0.01, 0.05)]

    assert recommend(records, BASELINES, LIMITS).trial == 1


def test_the_nearest_lock_is_judged_by_its_worst_key() -> None:
    records = [trial(0, 0.0, 0.5), trial(2, 0.0, 0.16), trial(1, 0.0, 0.2, step="np-8")]

    found = recommend(records, BASELINES, LIMITS)

    assert found.nearest is not None
    assert found.nearest.lock == "np-8"


def test_limits_of_zero_have_a_nearest_too() -> None:
    found = recommend(
        [trial(0, 0.1, 0.0), trial(1, 0.2, 0.0, step="np-8")],
        BASELINES,
        SearchParams(max_drop=0, max_regained=0),
    )

    assert found.nearest is not None
    assert found.nearest.trial == 0


def test_an_owner_under_the_floor_is_never_recommended() -> None:
    under = make_trial(0, 0.05, 0.01, drop=0.0, regained=None)

    assert recommend([under], BASELINES, LIMITS).status == "none"


SPREAD = [make_baseline(0.58, 0.61, 0.61)]


def test_seeds_further_apart_than_the_allowed_drop_decide_nothing() -> None:
    found = recommend([trial(3, 0.01, 0.01)], SPREAD, LIMITS)

    assert (found.status, found.trial, found.lock) == ("undecided", 3, "np-4")
    assert "0.0300 apart" in found.reason
    assert "3 baselines" in found.reason
    assert "candidate is np-4" in found.reason


def test_seeds_as_far_apart_as_the_allowed_drop_still_decide() -> None:
    exact = SearchParams(max_drop=SPREAD[0].spread)

    assert recommend([trial(3, 0.01, 0.01)], SPREAD, exact).status == "recommended"


def test_a_drop_too_large_by_less_than_the_seeds_tell_is_undecided_with_the_nearest() -> None:
    found = recommend([trial(3, 0.03, 0.01)], SPREAD, LIMITS)

    assert (found.status, found.trial) == ("undecided", None)
    assert found.nearest is not None
    assert found.nearest.trial == 3


def test_where_every_lock_gives_too_much_away_the_seeds_change_nothing() -> None:
    found = recommend([trial(3, 0.01, 0.5)], SPREAD, LIMITS)

    assert found.status == "none"


def test_the_seeds_of_the_candidates_own_cost_are_asked() -> None:
    longer = make_baseline(epochs=12)

    found = recommend([trial(3, 0.01, 0.01, epochs=12)], [*SPREAD, longer], LIMITS)

    assert found.status == "recommended"


def test_a_single_seed_is_said_to_be_one() -> None:
    found = recommend([trial(3, 0.01, 0.01)], [make_baseline(PLAIN)], LIMITS)

    assert found.status == "recommended"
    assert "single baseline seed" in found.reason


@pytest.mark.parametrize("records", [[], [make_stopped(0), make_trial(1, state="failed")]])
def test_nothing_measured_is_said(records) -> None:
    found = recommend(records, BASELINES, LIMITS)

    assert (found.status, found.trial, found.nearest) == ("empty", None, None)
    assert found.reason


def test_a_recommendation_is_plain_values() -> None:
    found = recommend([trial(0, 0.0, 0.0)], BASELINES, LIMITS)

    assert json.loads(json.dumps(found.document())) == found.document()
    assert found.document()["steps"] == ["np-4"]
