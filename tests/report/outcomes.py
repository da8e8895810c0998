"""The made-up study as the search itself holds it."""

from __future__ import annotations

from typing import Any

from seglock.config import SearchParams
from seglock.search.importance import Importances
from seglock.search.outcome import StudyOutcome
from seglock.search.record import BaselineRecord, TrialRecord
from tests.report.studies import make_study


def make_outcome(
    *, count: int = 20, search: dict[str, Any] | None = None, **trial: Any
) -> StudyOutcome:
    """The study of ``count`` trials; ``search`` are values of its section, ``trial`` of each."""
    values = make_study(count=count)
    return StudyOutcome(
        name=values["study"],
        storage=values["storage"],
        search=SearchParams(**({"trials": count} | (search or {}))),
        about=values["about"],
        baselines=tuple(BaselineRecord.from_dict(b) for b in values["baselines"]),
        trials=tuple(TrialRecord.from_dict(t | trial) for t in values["trials"]),
        importances=Importances(values["importances"]),
        asked=count,
        run_id=values["run_id"],
        seconds=171.3,
    )
