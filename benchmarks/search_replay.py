"""What a measured table tells without training anything: samplers and early stopping, replayed.

A table is a study that tried every point of its space. Asking a sampler for a point and looking
its figures up costs milliseconds, so that many seeds can be compared.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any

import optuna

from seglock.config import Params, SearchParams, check_params
from seglock.results.tradeoff import (
    hypervolume,
    hypervolume_history,
    measured,
    pareto_front,
    references,
    within_limits,
)
from seglock.results.trial import BaselineRecord, Stopped, TrialRecord, baseline_for
from seglock.search.early_stopping import rivals, should_stop
from seglock.search.ledger import Ledger
from seglock.search.recommend import recommend
from seglock.search.storage import Patience
from seglock.search.study import StudyLog

SAMPLERS = ("tpe", "gp", "nsga2", "random")
REFERENCE_SAMPLER = "random"
MARGINS = (0.0, 0.02, 0.05, 0.1, 0.15, 0.2)

_TOLD = ("owner_miou", "unauthorised", "drop", "regained", "key_space_bits")


@dataclass(frozen=True)
class Table:
    """Every point of a space with its figures, and the params they were measured with."""

    params: Params
    baselines: tuple[BaselineRecord, ...]
    trials: tuple[TrialRecord, ...]

    @classmethod
    def from_document(cls, document: dict[str, Any]) -> Table:
        """Read what ``--measure`` wrote."""
        study = document["study"]
        return cls(
            check_params(document["params"], where="the table's params"),
            tuple(BaselineRecord.check(values) for values in study["baselines"]),
            tuple(measured(TrialRecord.check(values) for values in study["trials"])),
        )

    @property
    def references(self) -> dict[str, tuple[float, float]]:
        """The hypervolume's two corners by name."""
        params = self.params
        own = baseline_for(self.baselines, params.train.epochs, params.data.image_side)
        corners = references(own or self.baselines[0])
        return dict(zip(("floor", "baseline"), corners, strict=True))

    def hypervolumes(self, trials: Sequence[TrialRecord]) -> dict[str, float]:
        """Of these trials, from both corners."""
        points = [point for trial in trials if (point := trial.objectives)]
        return {name: hypervolume(points, corner) for name, corner in self.references.items()}


def compare_samplers(
    table: Table,
    *,
    seeds: int,
    trials: int,
    at: Sequence[int],
    samplers: Sequence[str] = SAMPLERS,
    say: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Each sampler's hypervolume after ``at`` trials, over ``seeds`` seeds, beside random search.

    ``recommended``: in how many of the seeds the study's recommendation is the whole table's.
    """
    target = recommend(table.trials, table.baselines, table.params.search)
    answer: dict[str, Any] = {
        "seeds": seeds,
        "trials": trials,
        "points": len(table.trials),
        "references": {name: list(corner) for name, corner in table.references.items()},
        "whole_table": table.hypervolumes(table.trials),
        "recommended_by_whole_table": target.document(),
        "samplers": {},
    }
    for sampler in samplers:
        say(f"{sampler}: {seeds} seeds of {trials} trials")
        runs = [replay_sampler(table, sampler, seed, trials) for seed in range(seeds)]
        found = [recommend(run, table.baselines, table.params.search) for run in runs]
        answer["samplers"][sampler] = {
            "hypervolume": {
                name: [_after(runs, corner, count) for count in at]
                for name, corner in table.references.items()
            },
            "recommended": sum(one.lock == target.lock for one in found),
            "different_points": fmean(len({t.recipe for t in run}) for run in runs),
        }
    _beside_random(answer)
    return answer


def replay_sampler(table: Table, sampler: str, seed: int, trials: int) -> list[TrialRecord]:
    """The trials that a study with this sampler would have made, in order."""
    params = _with_search(table.params, sampler=sampler, seed=seed, confirm=0)
    figures = {record.recipe: record for record in table.trials}
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        storage=optuna.storages.InMemoryStorage(), directions=["maximize", "minimize"]
    )
    # The project's own asking and telling, over a study in memory that is never away.
    log = StudyLog(study, Patience(1.0))
    ledger = Ledger(log, params)
    found = []
    for number in range(trials):
        asked = ledger.ask()
        record = figures[asked.point.recipe]
        ledger.complete(asked.number, {n: getattr(record, n) for n in _TOLD})
        found.append(record.model_copy(update={"number": number}))
    return found


def compare_stopping(
    table: Table, *, orders: int, own: float, margins: Sequence[float] = MARGINS
) -> dict[str, Any]:
    """What stopping early saves where the table's trials come in ``orders`` random orders.

    Said for ``own``, the margin in use, and a few others; ``front_unchanged`` and
    ``within_unchanged`` count the orders in which nothing of value was lost.
    """
    front = pareto_front(table.trials)
    rows = [_stopping(table, margin, orders) for margin in sorted({own, *margins})]
    return {
        "orders": orders,
        "trials": len(table.trials),
        "max_drop": table.params.search.max_drop,
        "warmup_epochs": table.params.search.warmup_epochs,
        "own_margin": own,
        "front": [trial.lock for trial in front],
        "within": [t.lock for t in front if within_limits(t, table.params.search)],
        "margins": rows,
    }


def _stopping(table: Table, margin: float, orders: int) -> dict[str, Any]:
    search = _with_search(table.params, margin=margin).search
    whole = table.hypervolumes(table.trials)
    saved, kept, lost = [], [], set()
    unchanged = within = recommended = 0
    rules = {"behind": 0, "dominated": 0}
    target = recommend(table.trials, table.baselines, search).lock
    for seed in range(orders):
        trials = _in_random_order(table.trials, seed)
        seen = replay(trials, table.baselines, search)
        survivors = [trial for trial in trials if trial.number not in seen.stops]
        saved.append(seen.epochs_saved / seen.epochs_full)
        left = table.hypervolumes(survivors)
        kept.append({name: _share(left[name], whole[name]) for name in whole})
        unchanged += seen.front_unchanged
        within += seen.within_unchanged
        recommended += recommend(survivors, table.baselines, search).lock == target
        for stop in seen.stops.values():
            rules[stop.rule] += 1
        lost |= {trials[n].lock for n in set(seen.front) - set(seen.front_kept)}
    return {
        "margin": margin,
        "epochs_saved": {"mean": fmean(saved), "least": min(saved), "most": max(saved)},
        "stops_an_order": {rule: count / orders for rule, count in rules.items()},
        "front_unchanged": unchanged,
        "within_unchanged": within,
        "recommended_unchanged": recommended,
        "hypervolume_kept": {name: _mean([one[name] for one in kept]) for name in whole},
        "front_locks_stopped": sorted(lost),
    }


@dataclass(frozen=True)
class Replay:
    """What the rules would have done to trials that ran in full; numbers are trials'."""

    stops: dict[int, Stopped]
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
        """Whether the same holds for the front's trials within all limits."""
        return self.within == self.within_kept


def replay(
    records: Iterable[TrialRecord], baselines: Sequence[BaselineRecord], search: SearchParams
) -> Replay:
    """Apply the rules to complete trials, one after the other by number, as one worker would."""
    trials = measured(records)
    stops: dict[int, Stopped] = {}
    kept: list[TrialRecord] = []
    saved = 0
    for trial in trials:
        own = baseline_for(baselines, trial.epochs, trial.image_side)
        curves = (trial.curve[: epoch + 1] for epoch in range(len(trial.curve)) if own)
        others = rivals(trial.recipe, kept, search)
        judged = (should_stop(curve, own, others, search) for curve in curves)
        stop = next(filter(None, judged), None)
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


def _numbers(trials: Iterable[TrialRecord]) -> tuple[int, ...]:
    return tuple(sorted(trial.number for trial in trials))


def _in_random_order(trials: Sequence[TrialRecord], seed: int) -> list[TrialRecord]:
    shuffled = random.Random(seed).sample(list(trials), len(trials))
    return [trial.model_copy(update={"number": number}) for number, trial in enumerate(shuffled)]


def _after(
    runs: Sequence[Sequence[TrialRecord]], corner: tuple[float, float], count: int
) -> dict[str, Any]:
    values = [hypervolume_history(run[:count], corner)[-1][1] for run in runs]
    spread = stdev(values) if len(values) > 1 else 0.0
    return {"trials": count, "mean": fmean(values), "stdev": spread, "values": values}


def _beside_random(answer: dict[str, Any]) -> None:
    """Adds to each figure its ratio to random search's mean, and to the whole table's."""
    samplers = answer["samplers"]
    if REFERENCE_SAMPLER not in samplers:
        return
    theirs = samplers[REFERENCE_SAMPLER]["hypervolume"]
    for figures in samplers.values():
        for name, rows in figures["hypervolume"].items():
            for row, reference in zip(rows, theirs[name], strict=True):
                row["of_random"] = _share(row["mean"], reference["mean"])
                row["of_whole_table"] = _share(row["mean"], answer["whole_table"][name])


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if known else None


def _share(value: float, whole: float) -> float | None:
    return value / whole if whole else None


def _with_search(params: Params, **values: Any) -> Params:
    search = SearchParams.model_validate(params.search.model_dump() | values)
    return params.model_copy(update={"search": search})
