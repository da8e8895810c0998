"""The made-up study as the search itself holds it."""

from __future__ import annotations

from typing import Any

from seglock.config import Params
from seglock.results.study import Study
from seglock.results.trial import BaselineRecord, TrialRecord
from seglock.search.outcome import study_of
from seglock.search.point import Point
from tests.report.studies import make_study
from tests.search.project import small_params


def make_outcome(*, count: int = 20, search: dict[str, Any] | None = None, **trial: Any) -> Study:
    """The study of ``count`` trials; ``search`` are values of its section, ``trial`` of each, whose
    name follows from its steps and ``refuse``."""
    values = make_study(count=count)
    params: Params = small_params(search={"trials": count} | (search or {}))
    return study_of(
        params,
        values["about"],
        tuple(BaselineRecord.check(b) for b in values["baselines"]),
        tuple(_record(t | trial) for t in values["trials"]),
        study=values["study"],
        storage=values["storage"],
        run_id=values["run_id"],
        seconds=171.3,
    )


def _record(values: dict[str, Any]) -> TrialRecord:
    record = TrialRecord.check(values)
    return record.model_copy(update={"lock": Point.of(record).lock})
