"""What a worker gets and gives back, as plain values that travel as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from seglock.training import EpochRow


@dataclass(frozen=True)
class TrialJob:
    """One network to train and judge. Everything in it is public: the worker makes the key.

    id: names the scratch folder and what travels: ``trial-12-1`` (number, attempt) or
    ``baseline-e12-s64-0``. steps: empty for a baseline. params: the whole of params.yaml with this
    trial's values in place (epochs, lr, weight decay, image side, seed), as plain values. root: the
    project's folder. data_digest: what ``data/prepared`` must be. weights_sha256: what the file of
    initial weights must be; None where there is none.
    """

    id: str
    steps: tuple[str, ...]
    params: dict[str, Any]
    root: str
    data_digest: str
    weights_sha256: str | None = None

    def to_json(self) -> str:
        """One line of JSON."""
        return json.dumps(asdict(self), allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The inverse of ``to_json``."""
        values = json.loads(text)
        return cls(**values | {"steps": tuple(values["steps"])})


@dataclass(frozen=True)
class TrialResult:
    """What one job found. Mean IoU is of the split that ``search.split`` names, 0 to 1.

    ``scores`` is AccessResult.to_dict(), with what the attacks of ``search.thief`` add; None where
    the training was stopped early; then ``stopped_at`` is the last epoch. ``key_id`` and
    ``key_hash`` (Argon2id, PHC format) are all that is kept of the key, None for a baseline.
    ``curve`` has a row an epoch.
    """

    job: str
    scores: dict[str, Any] | None
    curve: tuple[EpochRow, ...]
    stopped_at: int | None
    key_id: str | None
    key_hash: str | None
    key_space_bits: float | None
    best_epoch: int | None
    train_seconds: float
    evaluate_seconds: float
    device: str
    worker: str

    def to_json(self) -> str:
        """One line of JSON."""
        return json.dumps(asdict(self), allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The inverse of ``to_json``."""
        values = json.loads(text)
        return cls(**values | {"curve": tuple(values["curve"])})
