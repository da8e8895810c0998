"""When a trial need not go on.

Optuna does not prune studies with several objectives. A trial is compared with the baselines of
equal cost at the same epoch, by validation mean IoU, the best so far.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean
from typing import TYPE_CHECKING

from seglock.results.tradeoff import dominates, measured
from seglock.results.trial import Stopped
from seglock.steps import lock_text

if TYPE_CHECKING:
    from seglock.config import SearchParams
    from seglock.results.trial import BaselineRecord, TrialRecord


def should_stop(
    curve: Sequence[float],
    baseline: BaselineRecord,
    finished: Sequence[TrialRecord],
    search: SearchParams,
) -> Stopped | None:
    """Judge a trial by its validation mean IoU after each epoch so far, 0 to 1.

    baseline: of the trial's own epochs and image side. finished: the study's trials so far; only
    complete ones are looked at.

    Nothing is stopped before ``search.warmup_epochs`` are over, nor after the last epoch, when
    only the judging is left. ``behind``: the best so far is below the baselines' mean by more than
    ``max_drop`` and ``margin``. ``dominated``: a finished trial beats what this one could still
    become, were it to gain what the baselines gained from here on, and a thief to stay at the
    floor. A stronger thief leaves that best case as it is, and only makes it rarer that a finished
    trial beats it.
    """
    epoch = len(curve)
    if epoch <= search.warmup_epochs or epoch >= baseline.epochs:
        return None
    best, theirs = max(curve), mean_best(baseline, epoch)
    allowed = search.max_drop + search.margin
    if best < theirs - allowed:
        reason = (
            f"validation mean IoU {best:.4f} is more than {allowed:.4f} below the baselines' "
            f"{theirs:.4f} at epoch {epoch}"
        )
        return Stopped(rule="behind", epoch=epoch, reason=reason)
    # Up to the figure that trials are judged by, so that both sides are of the same split.
    end = (best + (baseline.mean - theirs), baseline.floor)
    for trial in finished:
        reached = trial.objectives
        if reached is not None and dominates(reached, end):
            reason = (
                f"with the baselines' remaining gain it would end at {end[0]:.4f}, and trial "
                f"{trial.number} ({lock_text(trial.lock)}) reached {reached[0]:.4f} with "
                f"unauthorised {reached[1]:.4f}, not above the floor {baseline.floor:.4f}"
            )
            return Stopped(rule="dominated", epoch=epoch, reason=reason)
    return None


def rivals(
    recipe: tuple[object, ...], records: Sequence[TrialRecord], search: SearchParams
) -> Sequence[TrialRecord]:
    """The trials that make one of ``recipe`` pointless where they beat it.

    None where it was measured before: what another key of it gives is to be known, good or bad. A
    lock of fewer keys than ``search.min_key_bits`` is no rival of one that has enough.
    """
    if any(trial.recipe == recipe for trial in measured(records)):
        return ()
    least = search.min_key_bits
    return [trial for trial in records if (trial.key_space_bits or 0.0) >= least]


def mean_best(baseline: BaselineRecord, epoch: int) -> float:
    """The baselines' best validation mean IoU up to ``epoch`` (from 1), averaged over the seeds."""
    return fmean(max(curve[:epoch]) for curve in baseline.curves)
