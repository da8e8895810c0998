"""A study as it stands: what follows from its records, and the files that tell of it."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seglock.files import write_json, write_text
from seglock.results.study import About, Counts, Hypervolume, Hypervolumes, Limits, Saved, Study
from seglock.results.trial import BaselineRecord, TrialRecord, baseline_for
from seglock.search.importance import importances
from seglock.search.point import Point
from seglock.search.recommend import recommend
from seglock.search.space import identity, planned_points
from seglock.search.tradeoff import hypervolume_history, pareto_front, references

if TYPE_CHECKING:
    from seglock.config import Params

_FRONT_FIELDS = (
    "number", "lock", "owner_miou", "drop", "unauthorised", "regained", "strongest", "method",
    "block_size", "fraction", "lr", "weight_decay", "epochs", "image_side", "key_space_bits",
    "run_id",
)  # fmt: skip
_NOT_IN_A_TABLE = ("stopped", "curve", "attacks")


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
    return Study(
        asked=asked_in_all(params, trials),
        about=About(**about),
        objective=search.objective,
        sampler=search.sampler,
        seed=search.seed,
        pruner=search.pruner,
        limits=Limits(max_drop=search.max_drop, max_regained=search.max_regained),
        baselines=baselines,
        trials=trials,
        counts=_counts(trials, running),
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


def write_outputs(study: Study, folder: Path) -> None:
    """Write study.json, trials.csv, front.csv, hypervolume.csv and metrics.json into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    study.write(folder / "study.json")
    write_text(folder / "trials.csv", _trials_csv(study.trials))
    front = [study.trial(number) for number in study.front]
    rows = ([getattr(trial, name) for name in _FRONT_FIELDS] for trial in front)
    write_text(folder / "front.csv", _csv(_FRONT_FIELDS, rows))
    volumes = zip(study.hypervolume.floor.values, study.hypervolume.baseline.values, strict=True)
    rows = ([number, low, high] for (number, low), (_, high) in volumes)
    write_text(folder / "hypervolume.csv", _csv(("trial", "floor", "baseline"), rows))
    write_json(folder / "metrics.json", metrics(study))


def metrics(study: Study) -> dict[str, float]:
    """The study in a few numbers, flat, for MLflow and ``dvc metrics``; only those there are."""
    found: dict[str, float] = {f"trials_{state}": count for state, count in study.counts}
    found["front"] = len(study.front)
    for name, history in study.hypervolume:
        if history.values:
            found[f"hypervolume_{name}"] = history.values[-1][1]
    found["epochs_saved"] = study.early_stopping.epochs_saved
    if study.recommendation.status == "recommended":
        trial = study.trial(study.recommendation.trial)
        for name in ("owner_miou", "drop", "unauthorised", "regained"):
            if (value := getattr(trial, name)) is not None:
                found[f"recommended_{name}"] = value
    return found


def _counts(trials: Sequence[TrialRecord], running: int) -> Counts:
    states = [trial.state for trial in trials]
    ended = {name: states.count(name) for name in ("complete", "stopped", "failed")}
    return Counts(**ended, running=running)


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


def _trials_csv(trials: Iterable[TrialRecord]) -> str:
    """One line a trial, with every field but the curve and the attacks, which study.json has."""
    names = [name for name in TrialRecord.model_fields if name not in _NOT_IN_A_TABLE]
    rows = (
        [
            *(getattr(trial, name) for name in names),
            trial.stopped and trial.stopped.rule,
            trial.stopped and trial.stopped.epoch,
        ]
        for trial in trials
    )
    return _csv([*names, "stopped_rule", "stopped_epoch"], rows)


def _csv(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(header)
    for row in rows:
        writer.writerow([" ".join(cell) if isinstance(cell, tuple) else cell for cell in row])
    return out.getvalue()
