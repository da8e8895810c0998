"""The names of figures in MLflow: one table, for the runs of the pipeline and of a study alike.

A run has few: its curves, and what a lock is judged by, under one prefix, so that MLflow's tables
show that first. All else is in the result files, which are the run's artifacts. What was not
measured is left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from seglock.results.evaluation import Evaluation
    from seglock.results.standing import LockLimits, LockStanding
    from seglock.results.study import Study
    from seglock.results.training import Training
    from seglock.results.trial import TrialRecord

CURVE = {
    "val_miou": "val/miou", "val_loss": "val/loss", "train_loss": "train/loss", "lr": "train/lr",
}  # fmt: skip
"""An epoch's columns in history.csv. MLflow's Compare begins with the first."""
TRAINING = {"best_epoch": "kept/epoch", "val_loss": "kept/val_loss", "val_miou": "kept/val_miou"}
"""Fields of training.json, of the epoch whose weights were kept."""
ACCESS = {
    "owner_miou": "access/owner",
    "drop": "access/drop",
    "unauthorised": "access/unauthorised",
    "regained": "access/regained",
    "refused": "access/refused",
    "floor": "access/floor",
    "key_space_bits": "access/key_bits",
}
"""What a lock is judged by, as summary.json and study.json call it."""
STRONGEST = "access/strongest_"
"""With a tier's name: the share of the owner's lead that its strongest thief regained."""
BEYOND = "access/beyond_scratch"
"""What a thief with labels has in mean IoU beyond training from scratch."""
HEADLINE = ("owner", "drop", "unauthorised", "regained")
"""What ``dvc metrics`` shows of a lock, as ``access/...`` without the prefix."""


def epoch_metrics(row: Mapping[str, Any]) -> dict[str, float]:
    """One epoch of a curve, by its columns in history.csv.

    >>> epoch_metrics({"epoch": 3, "lr": 0.1, "train_loss": 2.0, "val_miou": 0.5})
    {'val/miou': 0.5, 'train/loss': 2.0, 'train/lr': 0.1}
    """
    return _named(CURVE, row)


def training_metrics(training: Training) -> dict[str, float]:
    """A training."""
    return _named(TRAINING, training.document())


def access_metrics(figures: Mapping[str, Any]) -> dict[str, float]:
    """What a lock is judged by, from figures as ``ACCESS`` lists them.

    Without a lock everyone is its owner. An owner no better than the floor has nothing to regain:
    as in a study, that counts as all of it.

    >>> access_metrics({"owner_miou": 0.75})
    {'access/owner': 0.75, 'access/unauthorised': 0.75, 'access/regained': 1.0}
    """
    owner = figures.get("owner_miou")
    found = {name: figures.get(name) for name in ACCESS}
    if owner is not None and found["unauthorised"] is None:
        found["unauthorised"] = owner
    if owner is not None and found["regained"] is None:
        found["regained"] = 1.0
    return _named(ACCESS, found)


def standing_metrics(standing: LockStanding) -> dict[str, float]:
    """The strongest thief of each tier that was tried, and what one with labels has beyond
    training from scratch."""
    found = {f"{STRONGEST}{tier}": thief.lost for tier, thief in standing.thieves.items()}
    return found | ({} if standing.beyond is None else {BEYOND: standing.beyond})


def lock_metrics(
    found: Evaluation, drop: float | None, standing: LockStanding | None
) -> dict[str, float]:
    """A lock as the pipeline judged and attacked it; the baseline has neither drop nor standing."""
    scores = found.scores
    figures = {
        "owner_miou": scores.owner_miou,
        "drop": drop,
        "unauthorised": scores.unauthorised,
        "regained": scores.regained,
        "refused": scores.refused,
        "floor": scores.floors.floor,
        "key_space_bits": found.key_space_bits,
    }
    return access_metrics(figures) | (standing_metrics(standing) if standing else {})


def trial_metrics(trial: TrialRecord, limits: LockLimits) -> dict[str, float]:
    """A study's trial; what was stopped early or failed has few figures."""
    from seglock.results.standing import LockStanding

    found = access_metrics({name: getattr(trial, name) for name in ACCESS})
    if trial.objectives is None:
        return found
    return found | standing_metrics(LockStanding.of_trial(trial, limits))


def study_metrics(study: Study) -> dict[str, float]:
    """A study in a few numbers: how far it is, and the lock that it recommends, if it does."""
    counts, volume = study.counts, study.hypervolume.baseline.values
    found: dict[str, float] = {
        "study/complete": counts.complete,
        "study/stopped": counts.stopped,
        "study/failed": counts.failed,
        "study/front": len(study.front),
        "study/epochs_saved": study.early_stopping.epochs_saved,
    }
    if volume:
        found["study/hypervolume"] = volume[-1][1]
    if study.recommendation.status == "recommended":
        found |= recommended_metrics(study)
    return found


def recommended_metrics(study: Study) -> dict[str, float]:
    """The means of the lock that a study recommends over its keys."""
    from seglock.results.tried import tried_locks

    (lock,) = (
        lock
        for lock in tried_locks(study.trials)
        if study.recommendation.trial in [trial.number for trial in lock.trials]
    )
    return access_metrics(
        {
            "owner_miou": lock.owner.mean,
            "drop": lock.drop.mean,
            "unauthorised": lock.unauthorised.mean,
            "regained": lock.regained.mean,
        }
    )


def headline(metrics: Mapping[str, float]) -> dict[str, float]:
    """Of a run's metrics what ``dvc metrics`` shows.

    >>> headline({"access/owner": 0.75, "access/floor": 0.25})
    {'owner': 0.75}
    """
    prefixed = {name: f"access/{name}" for name in HEADLINE}
    return {name: metrics[full] for name, full in prefixed.items() if full in metrics}


def _named(names: Mapping[str, str], values: Mapping[str, Any]) -> dict[str, float]:
    return {
        name: float(values[field]) for field, name in names.items() if values.get(field) is not None
    }
