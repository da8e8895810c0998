"""The files of a study: study.json, its tables, and the figures that ``dvc metrics`` shows."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from seglock import files
from seglock.results.metrics import headline, study_metrics
from seglock.results.study import Study
from seglock.results.trial import TrialRecord

_FRONT_FIELDS = (
    "number", "lock", "owner_miou", "drop", "unauthorised", "regained", "strongest", "method",
    "block_size", "fraction", "refuse", "lr", "weight_decay", "epochs", "image_side",
    "key_space_bits", "run_id",
)  # fmt: skip
_NOT_IN_A_TABLE = ("stopped", "curve", "attacks")


def write_study_files(study: Study, folder: Path) -> None:
    """Write study.json, trials.csv, front.csv, hypervolume.csv and metrics.json into ``folder``.

    trials.csv has every field of a trial but its curve and attacks, which study.json has.
    """
    study.write(folder / "study.json")
    rows = {
        trial.number: trial.document()
        | {
            "steps": " ".join(trial.steps),
            "stopped_rule": trial.stopped and trial.stopped.rule,
            "stopped_epoch": trial.stopped and trial.stopped.epoch,
        }
        for trial in study.trials
    }
    names = [name for name in TrialRecord.model_fields if name not in _NOT_IN_A_TABLE]
    _table(folder / "trials.csv", [*names, "stopped_rule", "stopped_epoch"], rows.values())
    _table(folder / "front.csv", _FRONT_FIELDS, (rows[number] for number in study.front))
    both = zip(study.hypervolume.floor.values, study.hypervolume.baseline.values, strict=True)
    volumes = (
        {"trial": number, "floor": low, "baseline": high} for (number, low), (_, high) in both
    )
    _table(folder / "hypervolume.csv", ("trial", "floor", "baseline"), volumes)
    files.write_json(folder / "metrics.json", headline(study_metrics(study)))


def _table(path: Path, names: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    out = io.StringIO()
    writer = csv.DictWriter(out, names, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    files.write_text(path, out.getvalue())
