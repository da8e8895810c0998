from __future__ import annotations

import json

import pytest

from benchmarks.search import benchmark_params
from benchmarks.search_replay import (
    SAMPLERS,
    Table,
    compare_samplers,
    compare_stopping,
    replay,
    replay_sampler,
)
from seglock.config import SearchParams
from seglock.results.trial import BaselineRecord, TrialRecord
from seglock.search.samplers import STARTUP_TRIALS
from seglock.search.space import grid
from tests.search.records import make_baseline, make_stopped, make_trial

SEARCH = SearchParams(max_drop=0.02, margin=0.05, warmup_epochs=2)

PARAMS = benchmark_params(quick=False)
FLOOR, PLAIN, EPOCHS = 0.1, 0.6, PARAMS.train.epochs
_COST = {"shf": 0.05, "np": 0.01, "ffx": 0.03, "np+shf": 0.06}
_LEFT = {"shf": 0.04, "np": 0.09, "ffx": 0.2, "np+shf": 0.0}


def made_up_table() -> Table:
    """Larger blocks cost more and leave less; every curve rises like the baseline's."""
    trials = []
    for number, point in enumerate(grid(PARAMS)):
        share = (point.fraction or 50) / 100
        owner = PLAIN - _COST[point.pattern] * point.block_size**0.5 * share
        unauthorised = 0.08 + _LEFT[point.pattern] / point.block_size**0.5 / share
        trials.append(
            TrialRecord(
                number=number,
                state="complete",
                lock=point.lock,
                steps=point.steps,
                method=point.pattern,
                block_size=point.block_size,
                fraction=str(point.fraction),
                lr=point.lr,
                weight_decay=point.weight_decay,
                epochs=point.epochs,
                image_side=point.image_side,
                owner_miou=owner,
                unauthorised=unauthorised,
                drop=PLAIN - owner,
                regained=(unauthorised - FLOOR) / (owner - FLOOR),
                floor=FLOOR,
                key_space_bits=200.0,
                curve=tuple(owner * epoch / EPOCHS for epoch in range(1, EPOCHS + 1)),
            )
        )
    curve = tuple(PLAIN * epoch / EPOCHS for epoch in range(1, EPOCHS + 1))
    baseline = BaselineRecord(
        epochs=EPOCHS, image_side=64, seeds=(0, 1, 2), owner_miou=(PLAIN,) * 3,
        curves=(curve,) * 3, floor=FLOOR,
    )  # fmt: skip
    return Table(PARAMS, (baseline,), tuple(trials))


TABLE = made_up_table()


def test_the_space_has_every_combination_that_is_a_lock_of_its_own() -> None:
    assert len(TABLE.trials) == 4 * 6 * 3


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_replay_is_a_study_whose_figures_are_the_tables(sampler: str) -> None:
    known = {trial.lock: trial for trial in TABLE.trials}
    count = STARTUP_TRIALS + 1 if sampler == "gp" else 20  # a process takes a second a trial

    trials = replay_sampler(TABLE, sampler, seed=3, trials=count)

    assert [trial.number for trial in trials] == list(range(count))
    for trial in trials:
        assert trial.owner_miou == known[trial.lock].owner_miou
    again = replay_sampler(TABLE, sampler, seed=3, trials=count)
    other = replay_sampler(TABLE, sampler, seed=4, trials=STARTUP_TRIALS)
    assert [trial.lock for trial in trials] == [trial.lock for trial in again]
    assert [trial.lock for trial in trials[:STARTUP_TRIALS]] != [t.lock for t in other]


def test_samplers_are_compared_at_equal_trials_beside_random_search() -> None:
    found = compare_samplers(TABLE, seeds=2, trials=6, at=[3, 6], samplers=["tpe", "random"])

    for figures in found["samplers"].values():
        for name, rows in figures["hypervolume"].items():
            assert [row["trials"] for row in rows] == [3, 6]
            for row in rows:
                assert len(row["values"]) == 2
                assert row["mean"] == pytest.approx(sum(row["values"]) / 2)
                assert row["of_whole_table"] == pytest.approx(
                    row["mean"] / found["whole_table"][name]
                )
                assert max(row["values"]) <= found["whole_table"][name] + 1e-12
            assert rows[0]["mean"] <= rows[1]["mean"]
    random = found["samplers"]["random"]["hypervolume"]["baseline"]
    assert [row["of_random"] for row in random] == [1.0, 1.0]
    json.dumps(found, allow_nan=False)


def test_more_margin_stops_less_and_what_was_lost_is_said() -> None:
    found = compare_stopping(TABLE, orders=3, own=0.1, margins=[0.0, 0.3])

    own, rows = found["own_margin"], found["margins"]
    assert [row["margin"] for row in rows] == sorted({0.0, own, 0.3})
    saved = [row["epochs_saved"]["mean"] for row in rows]
    assert saved == sorted(saved, reverse=True)
    assert saved[0] > 0
    for row in rows:
        assert (row["front_unchanged"] == 3) == (row["front_locks_stopped"] == [])
    json.dumps(found, allow_nan=False)


def test_a_table_is_read_from_what_measuring_wrote() -> None:
    document = {
        "params": TABLE.params.model_dump(mode="json"),
        "study": {
            "baselines": [baseline.document() for baseline in TABLE.baselines],
            "trials": [trial.document() for trial in TABLE.trials],
        },
    }

    assert Table.from_document(json.loads(json.dumps(document))) == TABLE


# Early stopping over trials that ran in full


def test_a_replay_stops_in_order_and_counts_what_that_saves() -> None:
    trials = [
        make_trial(0, 0.585, 0.09),
        make_trial(1, 0.3, 0.3),  # far behind as soon as the warm-up is over
        make_trial(2, 0.56, 0.1, step="np-8"),  # cannot beat trial 0
        make_trial(3, 0.59, 0.2),
    ]

    seen = replay(trials, [make_baseline()], SEARCH)

    assert {number: (s.rule, s.epoch) for number, s in seen.stops.items()} == {
        1: ("behind", 3),
        2: ("dominated", 3),
    }
    assert (seen.epochs_full, seen.epochs_saved) == (24, 6)
    assert seen.front == seen.front_kept == (0, 3)
    assert seen.front_unchanged
    assert seen.within == seen.within_kept == (0,)
    assert seen.within_unchanged


def test_a_replay_looks_at_earlier_trials_only() -> None:
    late_winner = [make_trial(2, 0.56, 0.1), make_trial(5, 0.58, 0.09)]

    assert replay(late_winner, [make_baseline()], SEARCH).stops == {}


def test_a_trial_that_was_stopped_stops_no_other() -> None:
    """Trial 0 was far behind at first and would have ended best: the replay does not know that."""
    sleeper = make_trial(0, 0.59, 0.05, curve=(0.0, 0.0, 0.0, 0.0, 0.0, 0.59))

    seen = replay([sleeper, make_trial(1, 0.56, 0.1)], [make_baseline()], SEARCH)

    assert list(seen.stops) == [0]
    assert (seen.front, seen.front_kept) == ((0,), (1,))
    assert not seen.front_unchanged
    assert (seen.within, seen.within_kept) == ((0,), ())
    assert not seen.within_unchanged


def test_a_replay_tells_a_changed_front_from_a_changed_front_within_the_limits() -> None:
    weak = make_trial(0, 0.3, 0.02)  # on the front for its thief, of no use to the owner

    seen = replay([weak, make_trial(1, 0.59, 0.1)], [make_baseline()], SEARCH)

    assert not seen.front_unchanged
    assert seen.within_unchanged
    assert seen.within == (1,)


def test_a_replay_leaves_alone_what_has_no_baseline_or_did_not_run_in_full() -> None:
    records = [make_trial(0, 0.2, 0.2, epochs=9), make_stopped(1)]

    seen = replay(records, [make_baseline()], SEARCH)

    assert seen.stops == {}
    assert (seen.epochs_full, seen.epochs_saved) == (9, 0)
