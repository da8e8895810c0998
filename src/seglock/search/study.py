"""A study in its storage: made or found again, what it remembers, and what it is not told yet."""

from __future__ import annotations

import contextlib
import json
import os
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seglock.errors import ConfigError, StorageError
from seglock.files import write_bytes, write_text
from seglock.foreign import read_plain
from seglock.search.executor import TrialResult
from seglock.search.measured import Cost, baseline_name, baseline_record, trial_record
from seglock.search.point import Point
from seglock.search.record import BaselineRecord, State, TrialRecord

if TYPE_CHECKING:
    from optuna import Study
    from optuna.storages import BaseStorage
    from optuna.trial import FrozenTrial

    from seglock.config import SearchParams
    from seglock.search.settings import Settings
    from seglock.search.storage import Opened, Patience

# Names of user attributes: the study's, its trials', and one of both.
FINGERPRINT, STUDY_ID = "fingerprint", "id"
POINT, LOCK, TICKET, SUPERSEDED = "point", "lock", "ticket", "superseded"
RETRY_OF, LINE, ATTEMPT, FAILURES = "retry_of", "line", "attempt", "failures"
MEASURED, REASON = "measured", "reason"
RUN_ID = "run_id"
_RESERVE = 256 << 10  # bytes: several results


class StudyLog:
    """What a study remembers, as records; ``begin`` and ``find`` open it.

    Every call to its storage is repeated while a database is away.
    """

    def __init__(self, study: Study, opened: Opened, patience: Patience) -> None:
        self.study = study
        self.opened = opened
        self.patience = patience

    @classmethod
    def begin(
        cls, opened: Opened, settings: Settings, search: SearchParams, patience: Patience
    ) -> StudyLog:
        """Make the study, or take it up where it is.

        Raises ConfigError, showing what differs, when it was begun with other settings.
        """
        study = patience(lambda: _create(opened.storage, settings.name, search))
        log = cls(study, opened, patience)
        earlier = log.attribute(FINGERPRINT)
        if earlier is None:
            if log.trials():
                raise _not_ours(settings.name, opened.shown)
            log.remember(STUDY_ID, log.attribute(STUDY_ID) or uuid.uuid4().hex)
            log.remember(FINGERPRINT, settings.fingerprint)
        else:
            settings.check(settings.name, earlier)
        return log

    @classmethod
    def find(cls, opened: Opened, settings: Settings, patience: Patience) -> StudyLog | None:
        """The study as it is, None where there is none; nothing is changed."""
        study = patience(lambda: _load(opened.storage, settings.name))
        if study is None:
            return None
        log = cls(study, opened, patience)
        earlier = log.attribute(FINGERPRINT)
        if earlier is None:
            return None
        settings.check(settings.name, earlier)
        return log

    @property
    def id(self) -> str:
        """The study's own random id."""
        return str(self.attribute(STUDY_ID))

    def attribute(self, name: str) -> Any:
        """One of the study's attributes, None where it has none of that name."""
        return self.patience(lambda: self.study.user_attrs).get(name)

    def remember(self, name: str, value: Any) -> None:
        """Set an attribute of the study, over an older value."""
        self.patience(lambda: self.study.set_user_attr(name, value))

    def trials(self) -> list[FrozenTrial]:
        """All trials as Optuna has them, by number."""
        return self.patience(lambda: self.study.get_trials(deepcopy=False))

    def records(self) -> list[TrialRecord]:
        """The trials that count, by number."""
        found = ((trial, counting_state(trial)) for trial in self.trials())
        return [trial_record(t.number, state, t.user_attrs) for t, state in found if state]

    def running(self) -> int:
        """How many trials are under way or queued."""
        return sum(not trial.state.is_finished() for trial in self.trials())

    def baselines(self, costs: Sequence[Cost], seeds: int) -> tuple[BaselineRecord, ...]:
        """The baselines of each cost of which all seeds are known."""
        known = self.patience(lambda: self.study.user_attrs)
        records = []
        for cost in costs:
            found = [known.get(baseline_name(cost, index)) for index in range(seeds)]
            if all(found):
                records.append(baseline_record(cost, [one for one in found if one]))
        return tuple(records)


@dataclass(frozen=True)
class Kept:
    """A result that its study may not know yet. ``stopped`` as TrialRecord has it."""

    job: str
    result: TrialResult
    stopped: dict[str, Any] | None
    run_id: str | None


class Results:
    """Results on their way: written before the study is told of them, and removed once it was.

    ``study``: the study's own random id, so that a result is never told to a later study of the
    same name. A reserve file is given up when the disk is full: what was measured still fits.
    """

    def __init__(self, folder: Path, study: str) -> None:
        self.folder = folder
        self.study = study
        self._reserve = folder / ".reserve"
        folder.mkdir(parents=True, exist_ok=True)
        for half in folder.glob(".*.tmp"):  # a killed writer left it
            half.unlink(missing_ok=True)
        with contextlib.suppress(StorageError):
            if not self._reserve.exists() or self._reserve.stat().st_size != _RESERVE:
                write_bytes(self._reserve, os.urandom(_RESERVE))

    def save(self, kept: Kept) -> None:
        """Write a result, whole or not at all. Raises StorageError when not even the reserve
        has room."""
        values = {"study": self.study, "run_id": kept.run_id, "stopped": kept.stopped}
        text = json.dumps(values | {"result": kept.result.to_json()})
        try:
            write_text(self._file(kept.job), text)
        except StorageError:
            self._reserve.unlink(missing_ok=True)
            write_text(self._file(kept.job), text)

    def drop(self, job: str) -> None:
        """The study was told."""
        self._file(job).unlink(missing_ok=True)

    def load(self) -> dict[str, Kept]:
        """All results of this study that are there; what cannot be read is left out."""
        found = {}
        for file in sorted(self.folder.glob("*.json")):
            with contextlib.suppress(OSError, ValueError, KeyError, TypeError, RecursionError):
                values = json.loads(read_plain(file))
                if values["study"] == self.study:
                    result = TrialResult.from_json(values["result"])
                    found[file.stem] = Kept(file.stem, result, values["stopped"], values["run_id"])
        return found

    def _file(self, job: str) -> Path:
        return self.folder / f"{job}.json"


def points(trials: Sequence[FrozenTrial]) -> dict[int, Point]:
    """What each trial that counts or is under way tries, by its number."""
    kept = (t for t in trials if POINT in t.user_attrs and not t.user_attrs.get(SUPERSEDED))
    return {trial.number: Point(**trial.user_attrs[POINT]) for trial in kept}


def counting_state(trial: FrozenTrial) -> State | None:
    """The state of a trial that counts, None for one that is under way or was superseded."""
    from optuna.trial import TrialState

    if trial.state == TrialState.COMPLETE:
        return "complete"
    if trial.state == TrialState.PRUNED:
        return "stopped"
    if trial.state == TrialState.FAIL and not trial.user_attrs.get(SUPERSEDED):
        return "failed"
    return None


def _create(storage: BaseStorage, name: str, search: SearchParams) -> Study:
    optuna = _quiet_optuna()
    directions = ["maximize", "minimize"] if search.objective == "pareto" else ["maximize"]
    study: Study = optuna.create_study(
        storage=storage, study_name=name, directions=directions, load_if_exists=True
    )
    return study


def _load(storage: BaseStorage, name: str) -> Study | None:
    optuna = _quiet_optuna()
    try:
        study: Study = optuna.load_study(storage=storage, study_name=name)
    except KeyError:
        return None
    return study


def _quiet_optuna() -> Any:
    """Optuna without its lines on standard error; what matters is told by us."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna


def _not_ours(name: str, shown: str) -> ConfigError:
    return ConfigError(
        "search.study must be a study of seglock's, or a new name",
        got=f"{name!r} in {shown}, which something else began",
        fix="choose another search.study",
    )
