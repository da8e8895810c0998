"""Optuna's samplers and pruners as params.yaml names them."""

from __future__ import annotations

from typing import Any

import optuna
import pytest

from seglock.config import SearchParams
from seglock.search.samplers import STARTUP_TRIALS, make_sampler


def test_tpe_keeps_away_from_what_other_workers_compute(monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, Any] = {}
    monkeypatch.setattr(optuna.samplers, "TPESampler", lambda **options: given.update(options))
    make_sampler(SearchParams(sampler="tpe"), 3)
    assert given["constant_liar"] is True


def test_each_trial_has_a_seed_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    seeds: list[int] = []
    monkeypatch.setattr(optuna.samplers, "RandomSampler", lambda seed: seeds.append(seed))
    for seed, trials in ((1, 0), (1, 1), (2, 1), (1, 0)):
        make_sampler(SearchParams(sampler="random", seed=seed), trials)
    assert len(set(seeds)) == 3
    assert seeds[0] == seeds[3]


def test_a_gaussian_process_begins_after_as_many_trials_as_tpe() -> None:
    sampler = make_sampler(SearchParams(sampler="gp"), 0)
    assert isinstance(sampler, optuna.samplers.GPSampler)
    assert sampler._n_startup_trials == STARTUP_TRIALS
