"""The rule that picks one lock from a study, and says why in words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from seglock.results.standing import LockLimits, LockStanding
from seglock.results.study import Nearest, Recommendation, Status
from seglock.results.tradeoff import beyond_limits
from seglock.results.trial import baseline_for
from seglock.results.tried import TriedLock, tried_locks
from seglock.steps import lock_text

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
    choices = tried_locks(records)
    if not choices:
        return Recommendation(status="empty", reason=_nothing_measured(records))
    kept = [choice for choice in choices if not choice.broken(LockLimits.of(search))]
    if not kept:
        return _none(choices, baselines, search)
    best = min(kept, key=_rank)
    doubt = _doubt(best, baselines, search)
    if doubt:
        reason = f"{doubt}. The candidate is {lock_text(best.first.lock)}: {_figures(best, search)}"
        return _named("undecided", best, reason)
    why = "the only choice within all limits"
    if len(kept) > 1:
        why = (
            f"of {len(kept)} choices within all limits, the one from which others regain least, "
            "then with the least drop"
        )
    return _named(
        "recommended", best, f"{_figures(best, search)}: {why}{_one_seed(best, baselines)}"
    )


def _keeps_out(choice: TriedLock, search: SearchParams) -> bool:
    """Whether it keeps the limits that the owner's accuracy has no part in."""
    return not set(choice.broken(LockLimits.of(search))) - {"drop", "behind"}


def _rank(choice: TriedLock) -> tuple[float, float, float]:
    return max(0.0, choice.regained.mean), choice.drop.mean, choice.regained.mean


def _excess(choice: TriedLock, search: SearchParams) -> float:
    """How far its worst key breaks the limits, in units of the limits."""
    units = (search.max_drop or _UNIT, search.max_regained or _UNIT, 1.0)
    beyond = [
        beyond_limits(t.drop or 0.0, t.regained, t.key_space_bits, search).values()
        for t in choice.trials
    ]
    return max(
        sum(max(0.0, over) / unit for over, unit in zip(one, units, strict=True)) for one in beyond
    )


def _figures(choice: TriedLock, search: SearchParams) -> str:
    keys = "" if len(choice.trials) == 1 else f", means of {len(choice.trials)} keys"
    bits = math.floor(choice.first.key_space_bits or 0.0)
    return (
        f"the owner has {choice.owner.mean:.4f}, a drop of {choice.drop.mean:.4f} "
        f"(limit {search.max_drop:.4f}), and others regain {choice.regained.mean:.4f} of it (limit "
        f"{search.max_regained:.4f}){keys}; its key space has {bits} bits (limit "
        f"{search.min_key_bits:g})"
    )


def _none(
    choices: Sequence[TriedLock], baselines: Sequence[BaselineRecord], search: SearchParams
) -> Recommendation:
    nearest = min(choices, key=lambda choice: _excess(choice, search))
    shown = Nearest(
        trial=nearest.first.number,
        lock=nearest.first.lock,
        steps=nearest.first.steps,
        drop=nearest.drop.mean,
        regained=nearest.regained.mean,
        key_space_bits=nearest.first.key_space_bits,
    )
    near = f"The nearest is {lock_text(nearest.first.lock)}: {_figures(nearest, search)}"
    near += _why_not(nearest, search)
    doubt = _doubt(nearest, baselines, search)
    # Where every lock gives a thief too much, the baseline's seeds could not change that.
    kept_out = [_keeps_out(choice, search) for choice in choices]
    if doubt and any(kept_out):
        return Recommendation(status="undecided", reason=f"{doubt}. {near}", nearest=shown)
    reason = f"no lock keeps all limits. {near}"
    return Recommendation(status="none", reason=reason, nearest=shown)


def _why_not(choice: TriedLock, search: SearchParams) -> str:
    """What a key of it breaks, where the means keep the limits."""
    limits, count = LockLimits.of(search), len(choice.trials)
    failing = [t for t in choice.trials if LockStanding.of_trial(t, limits).broken]
    text = ""
    if count > 1:
        text = f"; of its {count} keys {len(failing) or 'none'} breaks a limit"
    if choice.behind:
        text += "; another key of it was stopped for being behind"
    return text


def _doubt(
    choice: TriedLock, baselines: Sequence[BaselineRecord], search: SearchParams
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


def _one_seed(choice: TriedLock, baselines: Sequence[BaselineRecord]) -> str:
    baseline = baseline_for(baselines, choice.first.epochs, choice.first.image_side)
    if baseline is None or len(baseline.owner_miou) > 1:
        return ""
    return "; with a single baseline seed, chance cannot be told from a drop"


def _nothing_measured(records: Sequence[TrialRecord]) -> str:
    if not records:
        return "no trial has ended yet"
    return f"none of {len(records)} trials was measured: all were stopped or failed"


def _named(status: Status, choice: TriedLock, reason: str) -> Recommendation:
    first = choice.first
    return Recommendation(
        status=status,
        trial=first.number,
        lock=first.lock,
        steps=first.steps,
        refuse=first.refuse,
        reason=reason,
    )
