"""Which of the space's parameters decide the objectives: Optuna's fANOVA, over records."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from seglock.results.tradeoff import measured

if TYPE_CHECKING:
    from seglock.results.trial import TrialRecord

OBJECTIVES = ("owner_miou", "unauthorised")
_FIELDS = (
    "method", "block_size", "fraction", "refuse", "lr", "weight_decay", "epochs", "image_side",
)  # fmt: skip
_ENOUGH = 2
Shares = dict[str, dict[str, float]]
"""For each objective, parameter -> share of its variance, largest first, sum 1."""


def importances(
    records: Sequence[TrialRecord], *, seed: int
) -> tuple[Shares, None] | tuple[None, str]:
    """Judge the parameters of complete trials that had at least two values.

    None where it cannot be told, with the reason. Same records and seed, same shares. An objective
    that never changed has no shares: there is nothing that a parameter could explain.
    """
    trials = measured(records)
    if not records:
        return None, "no trial has ended yet"
    if len(trials) < _ENOUGH:
        return None, f"needs two complete trials, there are {len(trials)}"
    # The method has another name in the space.
    varied = {"steps" if f == "method" else f: f for f in _FIELDS if _varies(trials, f)}
    if not varied:
        return None, "needs a parameter with two values among the complete trials"
    shares = {
        target: _shares(trials, varied, target, seed)
        for target in OBJECTIVES
        if _varies(trials, target)
    }
    if not shares:
        return None, "needs two complete trials that differ in their figures"
    return shares, None


def _varies(trials: Sequence[TrialRecord], field: str) -> bool:
    return len({getattr(trial, field) for trial in trials}) > 1


def _shares(
    trials: Sequence[TrialRecord], varied: dict[str, str], target: str, seed: int
) -> dict[str, float]:
    """Ask Optuna, through a study in memory: the real one may hold points outside its space."""
    import optuna
    from optuna.importance import FanovaImportanceEvaluator, get_param_importances

    space = {name: _distribution(trials, field) for name, field in varied.items()}
    study = optuna.study.create_study(storage=optuna.storages.InMemoryStorage())
    for trial in trials:
        study.add_trial(
            optuna.trial.create_trial(
                params={name: getattr(trial, field) for name, field in varied.items()},
                distributions=space,
                value=getattr(trial, target),
            )
        )
    found = get_param_importances(study, evaluator=FanovaImportanceEvaluator(seed=seed))
    return {name: float(share) for name, share in found.items()}


def _distribution(trials: Sequence[TrialRecord], field: str) -> Any:
    from optuna.distributions import CategoricalDistribution, FloatDistribution

    values = {getattr(trial, field) for trial in trials}
    if field in ("lr", "weight_decay"):
        return FloatDistribution(min(values), max(values))
    return CategoricalDistribution(sorted(values))
