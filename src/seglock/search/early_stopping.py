"""When a trial need not go on, and what these rules would have saved in a study without them.

Optuna does not prune studies with several objectives. A trial is compared with the baselines of
equal cost at the same epoch, by validation mean IoU, the best so far.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import TYPE_CHECKING, Any, Literal

from seglock.search.tradeoff import (
    baseline_for,
    dominates,
    measured,
    objectives,
    pareto_front,
    within_limits,
)

if TYPE_CHECKING:
    from seglock.config import SearchParams
    from seglock.search.record import BaselineRecord, TrialRecord


@dataclass(frozen=True)
class Stop:
    """Why a trial ends after ``epoch``, as ``TrialRecord.stopped`` keeps it."""

    rule: Literal["behind", "dominated", "pruner"]
    epoch: int
    reason: str

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


def should_stop(
    curve: Sequence[float],
    baseline: BaselineRecord,
    finished: Sequence[TrialRecord],
    search: SearchParams,
) -> Stop | None:
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
        return Stop(
            "behind",
            epoch,
            f"validation mean IoU {best:.4f} is more than {allowed:.4f} below the baselines' "
            f"{theirs:.4f} at epoch {epoch}",
        )
    # Up to the figure that trials are judged by, so that both sides are of the same split.
    end = (best + (baseline.mean - theirs), baseline.floor)
    for trial in finished:
        reached = objectives(trial)
        if reached is not None and dominates(reached, end):
            return Stop(
                "dominated",
                epoch,
                f"with the baselines' remaining gain it would end at {end[0]:.4f}, and trial "
                f"{trial.number} ({trial.lock}) reached {reached[0]:.4f} with unauthorised "
                f"{reached[1]:.4f}, not above the floor {baseline.floor:.4f}",
            )
    return None


def mean_best(baseline: BaselineRecord, epoch: int) -> float:
    """The baselines' best validation mean IoU up to ``epoch`` (from 1), averaged over the seeds."""
    return fmean(max(curve[:epoch]) for curve in baseline.curves)


@dataclass(frozen=True)
class Replay:
    """What the rules would have done to trials that ran in full; numbers are trials'."""

    stops: dict[int, Stop]
    epochs_full: int
    epochs_saved: int
    front: tuple[int, ...]
    front_kept: tuple[int, ...]
    within: tuple[int, ...]
    within_kept: tuple[int, ...]

    @property
    def front_unchanged(self) -> bool:
        """Whether the front of the trials that went on is the front of all."""
        return self.front == self.front_kept

    @property
    def within_unchanged(self) -> bool:
        """Whether the same holds for the front's trials within both limits."""
        return self.within == self.within_kept

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, with the two answers."""
        return asdict(self) | {
            "stops": {number: stop.to_dict() for number, stop in self.stops.items()},
            "front_unchanged": self.front_unchanged,
            "within_unchanged": self.within_unchanged,
        }


def replay(
    records: Iterable[TrialRecord], baselines: Sequence[BaselineRecord], search: SearchParams
) -> Replay:
    """Apply the rules to complete trials, one after the other by number, as one worker would."""
    trials = measured(records)
    stops: dict[int, Stop] = {}
    kept: list[TrialRecord] = []
    saved = 0
    for trial in trials:
        stop = _first_stop(trial, baselines, kept, search)
        if stop is None:
            kept.append(trial)
        else:
            stops[trial.number] = stop
            saved += trial.epochs - stop.epoch
    front, front_kept = pareto_front(trials), pareto_front(kept)
    return Replay(
        stops=stops,
        epochs_full=sum(trial.epochs for trial in trials),
        epochs_saved=saved,
        front=_numbers(front),
        front_kept=_numbers(front_kept),
        within=_numbers(t for t in front if within_limits(t, search)),
        within_kept=_numbers(t for t in front_kept if within_limits(t, search)),
    )


def _first_stop(
    trial: TrialRecord,
    baselines: Sequence[BaselineRecord],
    finished: Sequence[TrialRecord],
    search: SearchParams,
) -> Stop | None:
    baseline = baseline_for(baselines, trial.epochs, trial.image_side)
    if baseline is None:
        return None
    for epoch in range(1, len(trial.curve) + 1):
        stop = should_stop(trial.curve[:epoch], baseline, finished, search)
        if stop is not None:
            return stop
    return None


def _numbers(trials: Iterable[TrialRecord]) -> tuple[int, ...]:
    return tuple(sorted(trial.number for trial in trials))
