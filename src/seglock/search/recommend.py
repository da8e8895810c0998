"""The rule that picks one lock from a study, and says why in words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from seglock.results.study import Nearest, Recommendation, Status
from seglock.results.tradeoff import beyond_limits, measured, within_limits
from seglock.results.trial import baseline_for

if TYPE_CHECKING:
    from seglock.config import SearchParams
    from seglock.results.trial import BaselineRecord, TrialRecord

_UNIT = 0.01
"""What an excess is counted in where the limit itself is zero: a point of mean IoU."""


def recommend(
    records: Sequence[TrialRecord],
    baselines: Sequence[BaselineRecord],
    search: SearchParams,
) -> Recommendation:
    """Pick, among the locks within all limits, the least ``regained``, then the least drop.

    With one key a lock, that is one of the front. ``regained`` below 0 counts as 0: a thief under
    the floor has nothing either way, and the owner should not pay for it. A lock tried with
    several keys must keep the limits with each of them and is ranked by its means; one that was
    stopped for being behind does not keep them.
    """
    choices = _choices(records)
    if not choices:
        return Recommendation(status="empty", reason=_nothing_measured(records))
    kept = [choice for choice in choices if choice.keeps(search)]
    if not kept:
        return _none(choices, baselines, search)
    best = min(kept, key=_Choice.rank)
    doubt = _doubt(best, baselines, search)
    if doubt:
        reason = f"{doubt}. The candidate is {best.first.lock}: {best.figures(search)}"
        return _named("undecided", best, reason)
    why = "the only choice within all limits"
    if len(kept) > 1:
        why = (
            f"of {len(kept)} choices within all limits, the one from which others regain least, "
            "then with the least drop"
        )
    return _named("recommended", best, f"{best.figures(search)}: {why}{_one_seed(best, baselines)}")


@dataclass(frozen=True)
class _Choice:
    """One lock and recipe, with every trial of it: they differ in their keys."""

    trials: tuple[TrialRecord, ...]
    behind: bool

    @property
    def first(self) -> TrialRecord:
        return self.trials[0]

    @property
    def drop(self) -> float:
        return sum(t.drop for t in self.trials if t.drop is not None) / len(self.trials)

    @property
    def regained(self) -> float:
        return sum(trial.lost for trial in self.trials) / len(self.trials)

    def keeps(self, search: SearchParams) -> bool:
        return not self.behind and all(within_limits(trial, search) for trial in self.trials)

    def keeps_out(self, search: SearchParams) -> bool:
        """Whether it keeps the limits that the owner's accuracy has no part in."""
        beyond = [
            beyond_limits(0.0, trial.regained, trial.key_space_bits, search)
            for trial in self.trials
        ]
        return all(max(one["regained"], one["key_bits"]) <= 0 for one in beyond)

    def rank(self) -> tuple[float, float, float]:
        return max(0.0, self.regained), self.drop, self.regained

    def excess(self, search: SearchParams) -> float:
        """How far its worst key breaks the limits, in units of the limits."""
        units = (search.max_drop or _UNIT, search.max_regained or _UNIT, 1.0)
        beyond = [
            beyond_limits(t.drop or 0.0, t.regained, t.key_space_bits, search).values()
            for t in self.trials
        ]
        return max(
            sum(max(0.0, over) / unit for over, unit in zip(one, units, strict=True))
            for one in beyond
        )

    def figures(self, search: SearchParams) -> str:
        owner = sum(t.owner_miou for t in self.trials if t.owner_miou is not None)
        keys = "" if len(self.trials) == 1 else f", means of {len(self.trials)} keys"
        bits = math.floor(self.first.key_space_bits or 0.0)
        return (
            f"the owner has {owner / len(self.trials):.4f}, a drop of {self.drop:.4f} "
            f"(limit {search.max_drop:.4f}), and others regain {self.regained:.4f} of it (limit "
            f"{search.max_regained:.4f}){keys}; its key space has {bits} bits (limit "
            f"{search.min_key_bits:g})"
        )


def _choices(records: Sequence[TrialRecord]) -> list[_Choice]:
    """The complete trials by lock and recipe, in the order of their first trials."""
    trials: dict[tuple[object, ...], list[TrialRecord]] = {}
    for trial in measured(records):
        trials.setdefault(trial.recipe, []).append(trial)
    behind = {r.recipe for r in records if r.stopped and r.stopped.rule == "behind"}
    return [_Choice(tuple(some), recipe in behind) for recipe, some in trials.items()]


def _none(
    choices: Sequence[_Choice], baselines: Sequence[BaselineRecord], search: SearchParams
) -> Recommendation:
    nearest = min(choices, key=lambda choice: choice.excess(search))
    shown = Nearest(
        trial=nearest.first.number,
        lock=nearest.first.lock,
        steps=nearest.first.steps,
        drop=nearest.drop,
        regained=nearest.regained,
        key_space_bits=nearest.first.key_space_bits,
    )
    near = f"The nearest is {nearest.first.lock}: {nearest.figures(search)}"
    if nearest.behind:
        near += "; another key of it was stopped for being behind"
    doubt = _doubt(nearest, baselines, search)
    # Where every lock gives a thief too much, the baseline's seeds could not change that.
    kept_out = [choice.keeps_out(search) for choice in choices]
    if doubt and any(kept_out):
        return Recommendation(status="undecided", reason=f"{doubt}. {near}", nearest=shown)
    reason = f"no lock keeps all limits. {near}"
    return Recommendation(status="none", reason=reason, nearest=shown)


def _doubt(
    choice: _Choice, baselines: Sequence[BaselineRecord], search: SearchParams
) -> str | None:
    """Why a drop of this size cannot be told from chance, if it cannot."""
    baseline = baseline_for(baselines, choice.first.epochs, choice.first.image_side)
    if baseline is None or baseline.spread <= search.max_drop:
        return None
    return (
        f"it cannot be decided: {len(baseline.owner_miou)} baselines that differ in their seed "
        f"alone are {baseline.spread:.4f} apart, more than the drop of {search.max_drop:.4f} that "
        "is allowed; train longer, allow more, or judge on more images"
    )


def _one_seed(choice: _Choice, baselines: Sequence[BaselineRecord]) -> str:
    baseline = baseline_for(baselines, choice.first.epochs, choice.first.image_side)
    if baseline is None or len(baseline.owner_miou) > 1:
        return ""
    return "; with a single baseline seed, chance cannot be told from a drop"


def _nothing_measured(records: Sequence[TrialRecord]) -> str:
    if not records:
        return "no trial has ended yet"
    return f"none of {len(records)} trials was measured: all were stopped or failed"


def _named(status: Status, choice: _Choice, reason: str) -> Recommendation:
    first = choice.first
    return Recommendation(
        status=status,
        trial=first.number,
        lock=first.lock,
        steps=first.steps,
        refuse=first.refuse,
        reason=reason,
    )
