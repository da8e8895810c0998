"""Where trials are computed: what the coordinator knows of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from seglock.search.job import TrialJob, TrialResult
    from seglock.training import EpochRow

Decide = Callable[[str, "EpochRow"], bool]
"""Called in the coordinator's process with (job id, an epoch's row); True stops the job."""


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
