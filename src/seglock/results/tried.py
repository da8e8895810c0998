"""A study lock by lock: the trials of one differ in their keys, and it is as good as its worst."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from seglock.results.standing import LockLimits, LockStanding, verdict
from seglock.results.tradeoff import measured
from seglock.results.trial import TrialRecord


class Spread(NamedTuple):
    """One figure over the keys of a lock."""

    mean: float
    least: float
    most: float

    @property
    def half(self) -> float:
        """Half of what lies between the least and the most."""
        return (self.most - self.least) / 2

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Of one value or more.

        >>> Spread.of([0.25, 0.75])
        Spread(mean=0.5, least=0.25, most=0.75)
        """
        return cls(sum(values) / len(values), min(values), max(values))


@dataclass(frozen=True)
class TriedLock:
    """One lock and recipe with every measured trial of it, by number: each had a key of its own.

    behind: another key of it was stopped for being behind, so that it holds with none.
    """

    trials: tuple[TrialRecord, ...]
    behind: bool = False

    @property
    def first(self) -> TrialRecord:
        """The trial that it is named by."""
        return self.trials[0]

    @property
    def owner(self) -> Spread:
        """Mean IoU of its owners."""
        return Spread.of([t.owner_miou for t in self.trials if t.owner_miou is not None])

    @property
    def drop(self) -> Spread:
        """What it costs its owners."""
        return Spread.of([t.drop for t in self.trials if t.drop is not None])

    @property
    def unauthorised(self) -> Spread:
        """Mean IoU of the thieves."""
        return Spread.of([t.unauthorised for t in self.trials if t.unauthorised is not None])

    @property
    def regained(self) -> Spread:
        """What they have of the owners' lead."""
        return Spread.of([trial.lost for trial in self.trials])

    def broken(self, limits: LockLimits) -> tuple[str, ...]:
        """Which limits any of its keys breaks; ``behind`` where one was stopped for that."""
        faults = [f for trial in self.trials for f in LockStanding.of_trial(trial, limits).broken]
        return tuple(dict.fromkeys([*faults, *(["behind"] if self.behind else [])]))

    def verdict(self, limits: LockLimits) -> str:
        """Whether it holds, as far as its worst key was tried, in a few words."""
        faults = [fault for fault in self.broken(limits) if fault != "behind"]
        held = LockStanding.of_trial(self.first, limits).held
        if self.behind and not faults:
            return "a key was behind"
        return verdict(faults, held)


def tried_locks(records: Sequence[TrialRecord]) -> list[TriedLock]:
    """The measured trials by lock and recipe, in the order of their first trials."""
    trials: dict[tuple[object, ...], list[TrialRecord]] = {}
    for trial in measured(records):
        trials.setdefault(trial.recipe, []).append(trial)
    behind = {r.recipe for r in records if r.stopped and r.stopped.rule == "behind"}
    return [TriedLock(tuple(some), recipe in behind) for recipe, some in trials.items()]
