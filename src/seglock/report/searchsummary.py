"""The study in summary.json, and in sentences."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from seglock.report.numbers import four
from seglock.results.standing import LockLimits
from seglock.results.study import Study
from seglock.results.trial import TrialRecord
from seglock.results.tried import TriedLock, tried_locks
from seglock.steps import lock_text

_FRONT = ("number", "lock", "steps", "owner_miou", "drop", "unauthorised", "regained")
_VERDICTS = {
    "recommended": "Recommended",
    "none": "No recommendation",
    "undecided": "Undecided",
    "empty": "No recommendation",
}


def summarise_study(study: Study, locks: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The study's findings as plain values. ``locks`` are summary.json's: is it among them?"""
    advice = study.recommendation
    baseline, volumes = study.baseline, study.hypervolume
    chosen = (advice.steps, advice.refuse)
    trained = [
        name
        for name, f in locks.items()
        if f["steps"] and chosen == (tuple(f["steps"]), f.get("refuse") or 0.0)
    ]
    return {
        "study": study.study,
        "split": study.about.split,
        "wrong_keys": study.about.wrong_keys,
        "thief": study.about.thief and study.about.thief.model_dump(mode="json"),
        "objective_sentence": objective_sentence(study),
        "sampler": study.sampler,
        "objective": study.objective,
        "counts": study.counts.model_dump(),
        "asked": study.asked,
        "limits": study.limits.model_dump(),
        "baseline": baseline.model_dump(mode="json", exclude={"curves", "run_ids"})
        if baseline
        else None,
        "front": [_row(found.trial) for found in reversed(study.front_trials)],
        "locks": [_lock(lock, study) for lock in tried_locks(study.trials)],
        "hypervolume": {
            name: volume.values[-1][1] if volume.values else None
            for name, volume in (("floor", volumes.floor), ("baseline", volumes.baseline))
        },
        "importances": study.importances,
        "recommendation": {
            **advice.model_dump(mode="json"),
            "sentence": advice_sentence(study),
            "trained_as": trained[0] if trained else None,
            "keys_tried": keys_sentence(study),
        },
        "epochs_saved": study.early_stopping.epochs_saved,
        "epochs_full": study.early_stopping.epochs_full,
        "run_id": study.run_id,
    }


def _row(trial: TrialRecord) -> dict[str, Any]:
    row = {name: getattr(trial, name) for name in _FRONT}
    return row | {
        "steps": list(trial.steps),
        "text": lock_text(trial.lock),
        "key_space_bits": trial.key_space_bits,
        "run_id": trial.run_id,
    }


def _lock(lock: TriedLock, study: Study) -> dict[str, Any]:
    """A lock over its keys: of each figure the mean, the least and the most. ``shown``: a trial of
    it is on the front, or the verdict names it.
    """
    limits, chosen = LockLimits.of(study.limits), study.recommendation.chosen
    figures = ("owner", "drop", "unauthorised", "regained")
    numbers = [trial.number for trial in lock.trials]
    return {
        "text": lock_text(lock.first.lock),
        "trials": numbers,
        "named": chosen in numbers,
        "shown": bool({chosen, *study.front} & set(numbers)),
        "keys": len(lock.trials),
        **{name: getattr(lock, name)._asdict() for name in figures},
        "key_space_bits": lock.first.key_space_bits,
        "broken": list(lock.broken(limits)),
        "verdict": lock.verdict(limits),
    }


def advice_sentence(study: Study) -> str:
    """The verdict in words: the lock, then why, or why there is none."""
    advice = study.recommendation
    reason = advice.reason.rstrip(".")
    if advice.status == "recommended" and advice.lock:
        return f"Recommended: {lock_text(advice.lock)}. {reason[:1].upper()}{reason[1:]}."
    return f"{_VERDICTS[advice.status]}: {reason}."


def objective_sentence(study: Study) -> str | None:
    """Whose figure ``unauthorised`` is, and of the chosen lock which attack's; None without any."""
    thief, chosen = study.about.thief, study.chosen
    if thief is None:
        return None
    text = f"Unauthorised is the {thief.text}, or what plain images and wrong keys give if more"
    if chosen and chosen.trial.strongest_text:
        text += f"; for {lock_text(chosen.trial.lock)} it is {chosen.trial.strongest_text}"
    return f"{text}."


def keys_sentence(study: Study) -> str | None:
    """Under how many keys the chosen lock was tried; None where none is chosen.

    One key says little: of many locks tried once each, the best one is also the luckiest.
    """
    tried = study.same_lock(study.chosen.trial.number) if study.chosen else []
    if not tried:
        return None
    if len(tried) == 1:
        return "This lock was tried under one key only; search.confirm asks for more."
    owners, thieves = ([f.owner for f in tried], [f.trial.lost for f in tried])
    listed = ", ".join(str(found.trial.number) for found in tried)
    return (
        f"This lock was tried under {len(tried)} keys (trials {listed}): owner {_range(owners)}, "
        f"regained {_range(thieves)}."
    )


def _range(values: list[float]) -> str:
    return f"{four(min(values))} to {four(max(values))}"
