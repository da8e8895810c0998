"""What a study tells of itself while it runs: the progress display is one observer."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from seglock.results.trial import TrialRecord
    from seglock.search.point import Point
    from seglock.training import EpochRow


@dataclass(frozen=True)
class Totals:
    """How far a study is. ``counted``: trials at their end; ``running``: jobs under way."""

    asked: int
    counted: int
    running: int
    front: int


class Observer:
    """Hears of everything and shows messages only; a display overrides what it shows.

    A job is a trial's attempt (``trial-12-1``) or a baseline (``baseline-e12-s64-0``).
    """

    def study_opened(self, name: str, storage: str, totals: Totals) -> None:
        """The study is found or made; ``totals`` are those of earlier commands."""

    def job_started(self, job: str, point: Point) -> None:
        """A job was handed to the executor; a baseline's point has no method."""

    def epoch(self, job: str, row: EpochRow) -> None:
        """An epoch of a job is over."""

    def job_ended(self, job: str, record: TrialRecord | None) -> None:
        """A job has its result; None for a baseline, and for a trial that is queued again."""

    def totals(self, totals: Totals) -> None:
        """How far the study is, after each job."""

    def say(self, message: str) -> None:
        """Something to know: a database is away, a trial is queued again."""
        sys.stderr.write(f"seglock: {message}\n")
