"""Optuna's samplers and pruners by the names that params.yaml gives them."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from optuna.pruners import BasePruner
    from optuna.samplers import BaseSampler

    from seglock.config import SearchParams

STARTUP_TRIALS = 10
POPULATION = 16


def make_sampler(search: SearchParams, trials: int) -> BaseSampler:
    """A sampler for the next trial of a study that has ``trials`` so far.

    A new one for each trial, with a seed of its own: a study that was stopped goes on as if it had
    not been, where one seeded sampler would draw the same values again after each start.
    """
    from optuna.samplers import GPSampler, NSGAIISampler, RandomSampler, TPESampler

    seed = int.from_bytes(hashlib.sha256(f"{search.seed}/{trials}".encode()).digest()[:4], "big")
    if search.sampler == "tpe":
        # What other workers compute counts as bad, so that they do not all try the same point;
        # with one worker there is nothing else under way. Older versions of Optuna have it off.
        return TPESampler(n_startup_trials=STARTUP_TRIALS, constant_liar=True, seed=seed)
    if search.sampler == "gp":
        return GPSampler(n_startup_trials=STARTUP_TRIALS, seed=seed)
    if search.sampler == "nsga2":
        return NSGAIISampler(population_size=POPULATION, seed=seed)
    return RandomSampler(seed=seed)  # a grid is enqueued point by point


def make_pruner(search: SearchParams) -> BasePruner:
    """Optuna's pruner of a study with one objective; none where our own rules stop trials."""
    from optuna import pruners

    warmup = search.warmup_epochs
    if search.pruner == "median":
        return pruners.MedianPruner(n_warmup_steps=warmup)
    if search.pruner == "successive_halving":
        return pruners.SuccessiveHalvingPruner(min_resource=max(1, warmup))
    if search.pruner == "hyperband":
        return pruners.HyperbandPruner(min_resource=max(1, warmup))
    return pruners.NopPruner()
