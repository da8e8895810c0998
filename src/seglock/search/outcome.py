"""A study as it stands: what follows from its records."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from seglock.results.study import About, Counts, Hypervolume, Hypervolumes, Limits, Saved, Study
from seglock.results.tradeoff import hypervolume_history, pareto_front, references
from seglock.results.trial import ENDS, BaselineRecord, TrialRecord, baseline_for
from seglock.search.importance import importances
from seglock.search.point import Point
from seglock.search.recommend import recommend
from seglock.search.space import identity, planned_points

if TYPE_CHECKING:
    from seglock.config import Params


def study_of(
    params: Params,
    about: dict[str, Any],
    baselines: tuple[BaselineRecord, ...] = (),
    trials: tuple[TrialRecord, ...] = (),
    *,
    running: int = 0,
    **named: Any,
) -> Study:
    """The study of these records, and what follows from them.

    running: how many trials are not at their end. named: ``study``, ``storage``, ``run_id`` and
    ``seconds``, as `Study` has them.
    """
    search = params.search
    own = baseline_for(baselines, about["epochs"], about["image_side"])
    shares, no_shares = importances(trials, seed=search.seed)
    states = [trial.state for trial in trials]
    return Study(
        asked=asked_in_all(params, trials),
        about=About(**about),
        objective=search.objective,
        sampler=search.sampler,
        seed=search.seed,
        pruner=search.pruner,
        limits=Limits(
            max_drop=search.max_drop,
            max_regained=search.max_regained,
            min_key_bits=search.min_key_bits,
        ),
        baselines=baselines,
        trials=trials,
        counts=Counts(running=running, **{name: states.count(name) for name in ENDS}),
        front=tuple(trial.number for trial in pareto_front(trials)),
        hypervolume=_hypervolumes(trials, own or next(iter(baselines), None)),
        importances=shares,
        importances_reason=no_shares,
        recommendation=recommend(trials, baselines, search),
        early_stopping=_early_stopping(trials),
        **named,
    )


def asked_in_all(params: Params, records: Sequence[TrialRecord]) -> int:
    """How many trials the study shall have; ``search.trials`` where nothing else bounds it.

    A grid ends with its points, and a study that went further keeps what it has.
    """
    asked = params.search.trials
    if params.search.sampler == "grid":
        planned = {identity(point) for point in planned_points(params)}
        to_come = planned - {identity(Point.of(record)) for record in records}
        asked = min(asked, len(records) + len(to_come))
    return max(asked, len(records))


def _hypervolumes(trials: Sequence[TrialRecord], baseline: BaselineRecord | None) -> Hypervolumes:
    if baseline is None:
        return Hypervolumes()
    volumes = (
        Hypervolume(reference=corner, values=tuple(hypervolume_history(trials, corner)))
        for corner in references(baseline)
    )
    return Hypervolumes(**dict(zip(Hypervolumes.model_fields, volumes, strict=True)))


def _early_stopping(trials: Sequence[TrialRecord]) -> Saved:
    stopped = [trial for trial in trials if trial.state == "stopped"]
    return Saved(
        stopped=len(stopped),
        epochs_saved=sum(trial.epochs - trial.stopped.epoch for trial in stopped if trial.stopped),
        epochs_full=sum(trial.epochs for trial in trials if trial.state != "failed"),
    )
