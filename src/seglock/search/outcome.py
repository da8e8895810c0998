"""A study as it stands: its records, what follows from them, and the files that tell of it."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seglock.files import write_json, write_text
from seglock.search.importance import Importances
from seglock.search.point import Point
from seglock.search.recommend import Recommendation, recommend
from seglock.search.record import TrialRecord
from seglock.search.space import enqueued_points, grid, identity
from seglock.search.tradeoff import (
    References,
    baseline_for,
    hypervolume_history,
    pareto_front,
)

if TYPE_CHECKING:
    from seglock.config import Params, SearchParams
    from seglock.search.record import BaselineRecord

_FRONT_FIELDS = (
    "number",
    "lock",
    "owner_miou",
    "drop",
    "unauthorised",
    "regained",
    "strongest",
    "method",
    "block_size",
    "fraction",
    "lr",
    "weight_decay",
    "epochs",
    "image_side",
    "key_space_bits",
    "run_id",
)


@dataclass(frozen=True)
class StudyOutcome:
    """Everything the outputs, the report and the terminal say of a study.

    name: the study's. storage: where it is kept, as shown to people, never with a password.
    about: ``dataset``, ``dataset_digest``, ``image_side``, ``classes``, ``model``, ``split``,
    ``epochs``, ``wrong_keys`` and ``thief`` (None where no attack is run); side and epochs are
    params.yaml's own. trials: those that count. asked: how many trials the study shall have.
    running: how many are not at their end. run_id: the parent run's. seconds: this command's,
    None where nothing was run; for the terminal only, since a study that is done must leave the
    same files whenever they are written again.
    """

    name: str
    storage: str
    search: SearchParams
    about: dict[str, Any]
    baselines: tuple[BaselineRecord, ...]
    trials: tuple[TrialRecord, ...]
    importances: Importances
    asked: int
    running: int = 0
    run_id: str | None = None
    seconds: float | None = None

    @property
    def front(self) -> list[TrialRecord]:
        """The trials that no other dominates, the owner's best first."""
        return pareto_front(self.trials)

    @property
    def recommendation(self) -> Recommendation:
        """The lock to train in full, or why there is none."""
        return recommend(self.trials, self.baselines, self.search)

    @property
    def counts(self) -> dict[str, int]:
        """How many trials are complete, stopped, failed and running."""
        states = [trial.state for trial in self.trials]
        ended = {state: states.count(state) for state in ("complete", "stopped", "failed")}
        return ended | {"running": self.running}

    @property
    def baseline(self) -> BaselineRecord | None:
        """The baselines of params.yaml's own cost, else the first there are."""
        own = baseline_for(self.baselines, self.about["epochs"], self.about["image_side"])
        return own or next(iter(self.baselines), None)

    def document(self) -> dict[str, Any]:
        """study.json, as plain values; a hypervolume has no reference before the baselines."""
        search = self.search
        return {
            "study": self.name,
            "storage": self.storage,
            "asked": self.asked,
            "about": dict(self.about),
            "objective": search.objective,
            "sampler": search.sampler,
            "seed": search.seed,
            "pruner": search.pruner,
            "limits": {"max_drop": search.max_drop, "max_regained": search.max_regained},
            "baselines": [baseline.to_dict() for baseline in self.baselines],
            "trials": [trial.to_dict() for trial in self.trials],
            "counts": self.counts,
            "front": [trial.number for trial in self.front],
            "hypervolume": _hypervolumes(self),
            "importances": self.importances.shares,
            "importances_reason": self.importances.reason,
            "recommendation": self.recommendation.to_dict(),
            "early_stopping": _early_stopping(self.trials),
            "run_id": self.run_id,
        }


def asked_in_all(params: Params, records: Sequence[TrialRecord]) -> int:
    """How many trials the study shall have; ``search.trials`` where nothing else bounds it.

    A grid ends with its points, and a study that went further keeps what it has.
    """
    asked = params.search.trials
    if params.search.sampler == "grid":
        planned = {identity(point) for point in enqueued_points(params) + grid(params)}
        to_come = planned - {identity(_point_of(record)) for record in records}
        asked = min(asked, len(records) + len(to_come))
    return max(asked, len(records))


def _point_of(record: TrialRecord) -> Point:
    fraction = None if record.fraction == "published" else int(record.fraction)
    return Point(
        record.method,
        record.block_size,
        fraction,
        record.lr,
        record.weight_decay,
        record.epochs,
        record.image_side,
    )


def write_outputs(outcome: StudyOutcome, folder: Path) -> None:
    """Write study.json, trials.csv, front.csv, hypervolume.csv and metrics.json into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    document = outcome.document()
    write_json(folder / "study.json", document)
    write_text(folder / "trials.csv", _trials_csv(outcome.trials))
    front = ([getattr(trial, name) for name in _FRONT_FIELDS] for trial in outcome.front)
    write_text(folder / "front.csv", _csv(_FRONT_FIELDS, front))
    write_text(folder / "hypervolume.csv", _hypervolume_csv(document["hypervolume"]))
    write_json(folder / "metrics.json", metrics(document))


def metrics(document: dict[str, Any]) -> dict[str, float]:
    """The study in a few numbers, flat, for MLflow and ``dvc metrics``; only those there are.

    document: as ``StudyOutcome.document`` makes it.
    """
    found: dict[str, float] = {f"trials_{name}": n for name, n in document["counts"].items()}
    found["front"] = len(document["front"])
    for name, history in document["hypervolume"].items():
        if history["values"]:
            found[f"hypervolume_{name}"] = history["values"][-1][1]
    found["epochs_saved"] = document["early_stopping"]["epochs_saved"]
    recommendation = document["recommendation"]
    if recommendation["status"] == "recommended":
        trial = next(t for t in document["trials"] if t["number"] == recommendation["trial"])
        for name in ("owner_miou", "drop", "unauthorised", "regained"):
            if trial[name] is not None:
                found[f"recommended_{name}"] = trial[name]
    return found


def _hypervolumes(outcome: StudyOutcome) -> dict[str, Any]:
    baseline = outcome.baseline
    if baseline is None:
        return {name: {"reference": None, "values": []} for name in ("floor", "baseline")}
    references = References.of(baseline)
    return {
        name: {
            "reference": list(reference),
            "values": [list(row) for row in hypervolume_history(outcome.trials, reference)],
        }
        for name, reference in (("floor", references.floor), ("baseline", references.baseline))
    }


def _early_stopping(trials: Sequence[TrialRecord]) -> dict[str, int]:
    """What was saved; trials that failed neither ran in full nor were stopped."""
    stopped = [(trial, trial.stopped) for trial in trials if trial.state == "stopped"]
    return {
        "stopped": len(stopped),
        "epochs_saved": sum(trial.epochs - stop["epoch"] for trial, stop in stopped if stop),
        "epochs_full": sum(trial.epochs for trial in trials if trial.state != "failed"),
    }


def _trials_csv(trials: Iterable[TrialRecord]) -> str:
    """One line a trial, with every field but the curve and the attacks, which study.json has."""
    left_out = ("stopped", "curve", "attacks")
    plain = [f.name for f in fields(TrialRecord) if f.name not in left_out]
    rows = []
    for trial in trials:
        stop = trial.stopped or {}
        rows.append([*(getattr(trial, n) for n in plain), stop.get("rule"), stop.get("epoch")])
    return _csv([*plain, "stopped_rule", "stopped_epoch"], rows)


def _hypervolume_csv(hypervolumes: dict[str, Any]) -> str:
    floor, baseline = (hypervolumes[name]["values"] for name in ("floor", "baseline"))
    rows = [[number, low, high] for (number, low), (_, high) in zip(floor, baseline, strict=True)]
    return _csv(("trial", "floor", "baseline"), rows)


def _csv(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([_cell(value) for value in row] for row in rows)
    return out.getvalue()


def _cell(value: Any) -> Any:
    if isinstance(value, tuple):
        return " ".join(value)
    return "" if value is None else value
