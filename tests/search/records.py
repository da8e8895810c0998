"""Made-up records: a trial or a baseline in one line, with the figures that follow."""

from __future__ import annotations

from typing import Any

from seglock.results.trial import BaselineRecord, TrialRecord

FLOOR = 0.1
PLAIN = 0.6
EPOCHS = 6
SIDE = 64
RISE = (0.2, 0.3, 0.4, 0.5, 0.55, 0.6)
"""The baseline's validation mean IoU after each epoch."""


def make_trial(
    number: int, owner: float | None = 0.5, unauthorised: float | None = 0.2, **changes: Any
) -> TrialRecord:
    """A complete trial of np-4 with these figures; a curve that rises like the baseline's."""
    step = changes.pop("step", "np-4")
    steps = changes.pop("steps", (step,))
    method, block = steps[0].split("-")[:2]
    values: dict[str, Any] = {
        "number": number,
        "state": "complete",
        "lock": "_".join(steps),
        "steps": tuple(steps),
        "method": method,
        "block_size": int(block),
        "fraction": "published",
        "lr": 0.2,
        "weight_decay": 0.0005,
        "epochs": EPOCHS,
        "image_side": SIDE,
        "owner_miou": owner,
        "unauthorised": unauthorised,
        "floor": FLOOR,
        "key_space_bits": 188.0,
    }
    if owner is not None and unauthorised is not None:
        values["drop"] = PLAIN - owner
        if owner > FLOOR:
            values["regained"] = (unauthorised - FLOOR) / (owner - FLOOR)
        values["curve"] = tuple(owner - PLAIN + value for value in RISE)
    return TrialRecord(**values | changes)


def make_stopped(number: int, rule: str = "behind", epoch: int = 4, **changes: Any) -> TrialRecord:
    """A trial that was stopped after ``epoch``."""
    stopped = {"rule": rule, "epoch": epoch, "reason": "made up"}
    return make_trial(number, None, None, state="stopped", stopped=stopped, **changes)


def make_baseline(*owners: float, **changes: Any) -> BaselineRecord:
    """Baselines with these figures, PLAIN three times unless told."""
    owners = owners or (PLAIN, PLAIN, PLAIN)
    values: dict[str, Any] = {
        "epochs": EPOCHS,
        "image_side": SIDE,
        "seeds": tuple(range(len(owners))),
        "owner_miou": owners,
        "curves": tuple(RISE for _ in owners),
        "floor": FLOOR,
    }
    return BaselineRecord(**values | changes)
