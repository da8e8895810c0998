"""The names of figures in MLflow: one table, for the runs of the pipeline and of a study alike.

Each function reads a result as its file has it, and leaves out what was not measured. A figure has
one name wherever it was measured, so that MLflow's Compare lines runs up.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from seglock.results.attack import FIGURES

CURVE = {"lr": "lr", "train_loss": "train/loss", "val_loss": "val/loss", "val_miou": "val/miou"}
"""An epoch's columns in history.csv."""
TRAINING = {
    "best_epoch": "best_epoch",
    "seconds": "train/seconds",
    "val_loss": "kept/val_loss",
    "val_miou": "kept/val_miou",
}
"""Fields of training.json; the last two are of the epoch whose weights were kept."""
ACCESS = {
    "owner_miou": "owner/miou",
    "unauthorised": "unauthorised",
    "regained": "regained",
    "refused": "refused",
    "drop": "drop",
    "plain": "plain/miou",
    "plain_bn": "plain_bn/miou",
    "incorrect_mean": "incorrect/miou_mean",
    "incorrect_p95": "incorrect/miou_p95",
    "floor": "floor/miou",
    "key_space_bits": "key_space_bits",
    "seconds": "seconds",
}
"""What a lock is judged by, as study.json calls it; the drop and the seconds are a trial's."""
SCORE = ("miou", "per_image_mean", "refused")
"""Figures of one kind of access, each told as ``ACCESS/FIGURE``."""
INCORRECT = {name: f"incorrect/miou_{name}" for name in ("mean", "std", "p95", "max", "min")} | {
    name: f"incorrect/{name}" for name in ("keys", "refused")
}
"""Figures over all wrong keys."""
ATTACK = (*FIGURES, "scratch_miou")
"""An attack's figures, each told as ``attack/NAME/FIGURE``."""
WRONG_KEY = "incorrect/key_miou"
"""Each wrong key's mean IoU; its step is the key's number."""


def epoch_metrics(row: Mapping[str, Any]) -> dict[str, float]:
    """One epoch of a curve, by its columns in history.csv.

    >>> epoch_metrics({"epoch": 3, "lr": 0.1, "train_loss": 2.0, "val_miou": 0.5})
    {'lr': 0.1, 'train/loss': 2.0, 'val/miou': 0.5}
    """
    return _named(CURVE, row)


def training_metrics(training: Mapping[str, Any]) -> dict[str, float]:
    """A training, from training.json."""
    return _named(TRAINING, training)


def evaluation_metrics(evaluation: Mapping[str, Any]) -> dict[str, float]:
    """A lock as it was judged, from evaluation.json; each wrong key's score is ``WRONG_KEY``."""
    scores = evaluation["scores"]
    incorrect, floors = scores["incorrect"], scores["floors"]
    accesses = {name: scores[name] for name in ("correct", "plain", "plain_bn") if scores[name]}
    found = access_metrics(
        {
            "owner_miou": scores["owner_miou"],
            "unauthorised": scores["unauthorised"],
            "regained": scores["regained"],
            "refused": scores["refused"],
            "floor": floors["floor"],
            "key_space_bits": evaluation["key_space_bits"],
        }
    )
    found |= {f"floor/{name}": floors[name] for name in ("constant", "prior")}
    for access, score in accesses.items():
        found |= _named({name: f"{access}/{name}" for name in SCORE}, score)
        found |= {f"{access}/iou/{name}": v for name, v in score["iou"].items() if v is not None}
    if incorrect:
        found |= _named(INCORRECT, incorrect)
    return found


def access_metrics(figures: Mapping[str, Any]) -> dict[str, float]:
    """What a lock is judged by, from figures as ``ACCESS`` lists them.

    Without a lock everyone is its owner. An owner no better than the floor has nothing to regain:
    as in a study, that counts as all of it.

    >>> access_metrics({"owner_miou": 0.75, "floor": 0.25})
    {'owner/miou': 0.75, 'unauthorised': 0.75, 'regained': 1.0, 'floor/miou': 0.25}
    """
    owner = figures.get("owner_miou")
    found = {name: figures.get(name) for name in ACCESS}
    if owner is not None and found["unauthorised"] is None:
        found["unauthorised"] = owner
    if owner is not None and found["regained"] is None:
        found["regained"] = 1.0
    return _named(ACCESS, found)


def attack_metrics(name: str, result: Mapping[str, Any]) -> dict[str, float]:
    """An attack's figures, from attacks/LOCK/NAME.json or a trial's.

    >>> attack_metrics("labels", {"tier": "T1", "miou": 0.5, "plan_found": True, "regained": None})
    {'attack/labels/miou': 0.5, 'attack/labels/plan_found': 1.0}
    """
    return _named({figure: f"attack/{name}/{figure}" for figure in ATTACK}, result)


def trial_metrics(trial: Mapping[str, Any]) -> dict[str, float]:
    """A study's trial, from study.json; what was stopped early or failed has few figures."""
    found = access_metrics(trial)
    for name, result in (trial.get("attacks") or {}).items():
        found |= attack_metrics(name, result)
    return found


def study_metrics(study: Mapping[str, Any]) -> dict[str, float]:
    """A study in a few numbers, from study.json, for MLflow and ``dvc metrics``."""
    found = {f"trials_{state}": count for state, count in study["counts"].items()}
    found["front"] = len(study["front"])
    for name, history in study["hypervolume"].items():
        if history["values"]:
            found[f"hypervolume_{name}"] = history["values"][-1][1]
    found["epochs_saved"] = study["early_stopping"]["epochs_saved"]
    advice = study["recommendation"]
    if advice["status"] == "recommended":
        (trial,) = (one for one in study["trials"] if one["number"] == advice["trial"])
        figures = ("owner_miou", "drop", "unauthorised", "regained")
        found |= {f"recommended_{n}": trial[n] for n in figures if trial[n] is not None}
    return found


def _named(names: Mapping[str, str], values: Mapping[str, Any]) -> dict[str, float]:
    return {
        name: float(values[field]) for field, name in names.items() if values.get(field) is not None
    }
