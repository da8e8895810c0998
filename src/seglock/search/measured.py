"""What a job found, as the study remembers it: records of trials and of baselines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from seglock.errors import StorageError
from seglock.results.trial import BaselineRecord, State, TrialRecord
from seglock.search.executor import TrialResult
from seglock.search.point import Cost, Point

_AS_THEY_ARE = (
    "owner_miou", "unauthorised", "regained", "refused", "strongest", "strongest_tier", "attacks",
)  # fmt: skip
"""What is called the same in a lock's scores and in its trial; the last three by ``search.thief``
alone."""


def baseline_name(cost: Cost, index: int) -> str:
    """The job and the study's attribute of one baseline.

    >>> baseline_name((12, 64), 0)
    'baseline-e12-s64-0'
    """
    return f"baseline-e{cost[0]}-s{cost[1]}-{index}"


def baseline_values(result: TrialResult, seed: int, run_id: str | None) -> dict[str, Any]:
    """One baseline as a study's attribute keeps it."""
    scores = result.scores or {}
    return {
        "seed": seed,
        "owner_miou": scores["owner_miou"],
        "floor": scores["floors"]["floor"],
        "curve": [row["val_miou"] for row in result.curve],
        "run_id": run_id,
        "seconds": result.train_seconds + result.evaluate_seconds,
    }


def baseline_record(cost: Cost, found: list[Any]) -> BaselineRecord:
    """All seeds of one cost together."""
    return BaselineRecord(
        epochs=cost[0],
        image_side=cost[1],
        seeds=tuple(one["seed"] for one in found),
        owner_miou=tuple(one["owner_miou"] for one in found),
        curves=tuple(tuple(one["curve"]) for one in found),
        floor=found[0]["floor"],
        run_ids=tuple(one["run_id"] or "" for one in found),
    )


def measured_values(
    result: TrialResult, baseline: BaselineRecord, stopped: dict[str, Any] | None
) -> dict[str, Any]:
    """A trial's figures by TrialRecord's names; None where the training was stopped."""
    found: dict[str, Any] = {
        "floor": baseline.floor,
        "key_id": result.key_id,
        "key_hash": result.key_hash,
        "key_space_bits": result.key_space_bits,
        "seconds": result.train_seconds + result.evaluate_seconds,
        "worker": result.worker,
        "stopped": stopped,
        "curve": [row["val_miou"] for row in result.curve],
    }
    if result.scores is not None:
        scores = result.scores
        found |= {name: scores.get(name) for name in _AS_THEY_ARE}
        found |= {
            "plain": scores["plain"]["miou"],
            "plain_bn": scores["plain_bn"]["miou"],
            "incorrect_mean": scores["incorrect"]["mean"],
            "incorrect_p95": scores["incorrect"]["p95"],
            "drop": baseline.mean - scores["owner_miou"],
            "floor": scores["floors"]["floor"],
        }
    return found


def trial_record(number: int, state: State, attributes: Mapping[str, Any]) -> TrialRecord:
    """A trial that counts, from its user attributes; raises StorageError where they do not fit."""
    point = Point(**attributes["point"])
    values = asdict(point) | {
        "number": number,
        "state": state,
        "lock": point.lock,
        "steps": point.steps,
        "method": point.pattern,
        "fraction": point.share,
        "run_id": attributes.get("run_id"),
        "attempt": attributes.get("attempt", 1),
        "reason": attributes.get("reason"),
        **attributes.get("measured", {}),
    }
    where = f"trial {number} of the study"
    fix = "choose another search.study, or another search.storage"
    return TrialRecord.check(values, where=where, fix=fix, error=StorageError)
