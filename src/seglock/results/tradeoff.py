"""The trade-off in numbers: what dominates what, the front, its hypervolume, the limits.

Two objectives: the owner's mean IoU, as high as possible, and ``unauthorised``, as low as
possible. Pure functions of records; Optuna is not needed to read a study.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from seglock.results.standing import LockLimits, LockStanding

if TYPE_CHECKING:
    from seglock.config import SearchParams
    from seglock.results.trial import BaselineRecord, Objectives, TrialRecord


def references(baseline: BaselineRecord) -> tuple[Objectives, Objectives]:
    """The two corners that a hypervolume is measured from, ``floor`` and ``baseline``.

    The first: both at the floor. A lock whose thief is above the floor counts nothing there.
    The second: the owner at the floor, the thief with all that the plain network has. Every lock
    that is better than none counts there.
    """
    return (baseline.floor, baseline.floor), (baseline.floor, baseline.mean)


def measured(records: Iterable[TrialRecord]) -> list[TrialRecord]:
    """The complete trials, by number."""
    found = [record for record in records if record.objectives is not None]
    return sorted(found, key=lambda record: record.number)


def dominates(one: Objectives, other: Objectives) -> bool:
    """Whether ``one`` is nowhere worse than ``other`` and somewhere better.

    >>> dominates((0.5, 0.1), (0.5, 0.2)), dominates((0.5, 0.1), (0.6, 0.2))
    (True, False)
    """
    return one[0] >= other[0] and one[1] <= other[1] and one != other


def pareto_front(records: Iterable[TrialRecord]) -> list[TrialRecord]:
    """The complete trials that no other dominates, the owner's best first; equals stay together."""
    trials = [(point, r) for r in measured(records) if (point := r.objectives) is not None]
    front: list[tuple[Objectives, TrialRecord]] = []
    for point, record in sorted(trials, key=lambda one: (-one[0][0], one[0][1], one[1].number)):
        # The last of the front has the least unauthorised so far, and an owner at least as good.
        if not front or point[1] < front[-1][0][1] or point == front[-1][0]:
            front.append((point, record))
    return [record for _, record in front]


def hypervolume(points: Iterable[Objectives], reference: Objectives) -> float:
    """The area that the points dominate above ``reference``, 0 to 1.

    A point that is not better than the reference in both objectives counts nothing.

    >>> round(hypervolume([(0.5, 0.1), (0.4, 0.0)], (0.2, 0.2)), 6)
    0.05
    """
    owner, unauthorised = reference
    area, covered = 0.0, unauthorised
    for high, low in sorted(set(points), key=lambda point: (-point[0], point[1])):
        if high > owner and low < covered:
            area += (high - owner) * (covered - low)
            covered = low
    return area


def hypervolume_history(
    records: Iterable[TrialRecord], reference: Objectives
) -> list[tuple[int, float]]:
    """(trial number, hypervolume of it and all before it), a row for each trial that counts.

    A trial that was stopped or failed adds nothing, and took its turn all the same.
    """
    points: list[Objectives] = []
    history = []
    for record in sorted(records, key=lambda record: record.number):
        point = record.objectives
        if point is not None:
            points.append(point)
        history.append((record.number, hypervolume(points, reference)))
    return history


def beyond_limits(
    drop: float, regained: float | None, key_space_bits: float | None, search: SearchParams
) -> dict[str, float]:
    """How far a measured trial is beyond each limit; at most 0 where it keeps it.

    An owner no better than the floor has nothing to regain: that counts as all of it. Of the key
    space it is the share of ``min_key_bits`` that is missing, so that no limit outweighs another;
    one that is not known has no bits.
    """
    lost = 1.0 if regained is None else regained
    least = search.min_key_bits
    return {
        "drop": drop - search.max_drop,
        "regained": lost - search.max_regained,
        "key_bits": 1 - (key_space_bits or 0.0) / least if least else 0.0,
    }


def within_limits(trial: TrialRecord, search: SearchParams) -> bool:
    """Whether a complete trial breaks none of the limits that ``search`` sets."""
    if trial.objectives is None:
        return False
    return not LockStanding.of_trial(trial, LockLimits.of(search)).broken
