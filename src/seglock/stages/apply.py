"""The lock that a study recommends, written into params.yaml for the pipeline to train in full."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from seglock.config import Params, add_lock
from seglock.errors import ConfigError

if TYPE_CHECKING:
    from seglock.results.study import Study
    from seglock.results.trial import TrialRecord


@dataclass(frozen=True)
class Applied:
    """Under which name the lock is in params.yaml now, and whether it was added.

    ``recipe``: where the trial trained otherwise than params.yaml says, the section and name of
    each such value, what params.yaml has, and what the trial had. They are not changed.
    """

    name: str
    added: bool
    steps: tuple[str, ...]
    refuse: float
    recipe: tuple[tuple[str, float, float], ...]


def apply_recommendation(outcome: Study, params: Params, root: Path) -> Applied:
    """Add the recommended lock to the params.yaml of ``root``; nothing if it is there already.

    Raises ConfigError, with the study's reason, where it recommends none.
    """
    advice = outcome.recommendation
    counted = len(outcome.trials)
    fix = "change search.max_drop, max_regained or min_key_bits, or raise search.trials"
    if counted < outcome.asked:
        fix = f"`seglock search` goes on with the study ({counted} of {outcome.asked} trials)"
    if advice.status != "recommended" or advice.lock is None or advice.steps is None:
        raise ConfigError(
            "a lock can be applied when the study recommends one",
            got=f"{advice.status}: {advice.reason}",
            fix=fix,
        )
    trial = outcome.trial(advice.trial)
    assert trial is not None
    added = add_lock(
        root / "params.yaml",
        advice.lock,
        advice.steps,
        ffx_password=params.search.space.ffx_password,
        refuse=advice.refuse,
    )
    recipe = _other_values(trial, params)
    return Applied(added.name, added.added, advice.steps, advice.refuse, recipe)


def _other_values(trial: TrialRecord, params: Params) -> tuple[tuple[str, float, float], ...]:
    pairs = (
        ("train.lr", params.train.lr, trial.lr),
        ("train.weight_decay", params.train.weight_decay, trial.weight_decay),
        ("train.epochs", params.train.epochs, trial.epochs),
        ("data.image_side", params.data.image_side, trial.image_side),
    )
    return tuple(pair for pair in pairs if pair[1] != pair[2])
