"""Where trials are computed: what the coordinator knows of it, and what goes to and fro."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from seglock.training import EpochRow

ANSWER_SECONDS = 2.0
"""How long a worker waits for word whether to go on after an epoch. A stop that comes later is
obeyed after the next one: a coordinator that is busy holds up no worker."""

Decide = Callable[[str, "EpochRow"], bool]
"""Called in the coordinator's process with (job id, an epoch's row); True stops the job."""


@dataclass(frozen=True)
class TrialJob:
    """One network to train and judge. Everything in it is public: the worker makes the key.

    id: names the scratch folder and what travels: ``trial-12-1`` (number, attempt) or
    ``baseline-e12-s64-0``. steps: empty for a baseline. params: the whole of params.yaml with this
    trial's values in place (epochs, lr, weight decay, image side, seed), as plain values. root: the
    project's folder. data_digest: what ``data/prepared`` must be. weights_sha256: what the file of
    initial weights must be; None where there is none. refuse: the weight of the lock's refusal, 0
    for none.
    """

    id: str
    steps: tuple[str, ...]
    params: dict[str, Any]
    root: str
    data_digest: str
    weights_sha256: str | None = None
    refuse: float = 0.0


@dataclass(frozen=True)
class TrialResult:
    """What one job found. Mean IoU is of the split that ``search.split`` names, 0 to 1.

    ``scores`` is evaluation.json's, with what the attacks of ``search.thief`` add; None where
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


@dataclass(frozen=True)
class Finished:
    """A job came to its end, or was stopped where ``decide`` said so."""

    job: str
    result: TrialResult


@dataclass(frozen=True)
class Failed:
    """A job has no result. ``permanent``: it would fail again anywhere (a loss that is not finite);
    otherwise the worker or its machine is to blame, and the job may be tried again."""

    job: str
    reason: str
    permanent: bool


Outcome = Finished | Failed


class Executor(Protocol):
    """Computes jobs. One contract suite runs over all of them.

    A job that was submitted comes back from ``poll`` exactly once, as Finished or as Failed.
    """

    @property
    def free(self) -> int:
        """How many more jobs it would start now."""
        ...

    def submit(self, job: TrialJob) -> None:
        """Take a job; returns at once."""
        ...

    def poll(self, decide: Decide, timeout: float) -> list[Outcome]:
        """Wait at most about ``timeout`` seconds (an executor in this process: for one job).

        Calls ``decide`` for each epoch that was finished meanwhile. Returns what ended.
        """
        ...

    def close(self) -> None:
        """Stop whatever runs, at once; those jobs never come back."""
        ...
