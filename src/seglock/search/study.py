"""A study in its storage: who coordinates it, what it remembers, and what it is not told yet."""

from __future__ import annotations

import contextlib
import json
import os
import time
import uuid
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seglock.errors import BusyError, ConfigError, StorageError
from seglock.files import exclusive, write_bytes, write_text
from seglock.foreign import read_plain
from seglock.results.trial import BaselineRecord, State, TrialRecord
from seglock.search.database import ServerLock, sqlite_database, this_process
from seglock.search.executor import TrialResult
from seglock.search.measured import baseline_name, baseline_record, trial_record
from seglock.search.point import Cost, Point
from seglock.search.storage import quiet_optuna

if TYPE_CHECKING:
    from optuna import Study
    from optuna.storages import BaseStorage
    from optuna.trial import FrozenTrial

    from seglock.config import SearchParams
    from seglock.search.settings import Settings
    from seglock.search.storage import Patience

# What we note of a study, of its trials, and of both.
FINGERPRINT, STUDY_ID = "fingerprint", "id"
POINT, MEASURED, SUPERSEDED = "point", "measured", "superseded"
RUN_ID = "run_id"
_OWN = "seglock."
"""What begins the names of our notes, which are system attributes: dashboards give each user
attribute a column, so these are the few figures that people read. Earlier versions kept all as
user attributes, and are read as they are."""
_COUNTING: dict[str, State] = {"COMPLETE": "complete", "PRUNED": "stopped", "FAIL": "failed"}
OTHER_SECONDS, OWN_SECONDS = 2.0, 30.0
"""How long a server's lock is waited for: another's that was just killed, and one of ours."""
_RESERVE = 256 << 10  # bytes: several results


@contextlib.contextmanager
def sole_coordinator(
    study: str, folder: Path, url: str | None, patience: Patience
) -> Iterator[Callable[[], None]]:
    """Keep every other coordinator of the study out for the block, by locks that are free as soon
    as their holder is dead: on its folder, beside its SQLite file, or PostgreSQL's own.

    Yields what sees to it that the last, which ends with its connection, is still ours. Raises
    BusyError where another one has the study, as does what is yielded.
    """
    what = f"study {study}"
    with contextlib.ExitStack() as stack:
        stack.enter_context(exclusive(folder, what=what))
        if url is not None and (file := sqlite_database(url)) is None:
            lock = stack.enter_context(contextlib.closing(ServerLock(url, study)))
            look = partial(_hold, lock, study, patience)
            look()
            yield look
            return
        if url is not None and file is not None:
            stack.enter_context(exclusive(file.with_name(f".{file.name}.{study}"), what=what))
        yield lambda: None


def _hold(lock: ServerLock, study: str, patience: Patience) -> None:
    until = time.monotonic() + OTHER_SECONDS
    while (holder := patience(lock.holder)) is not None:
        # Ourselves: by a connection that broke, and that the server does not miss yet.
        if time.monotonic() > until + (OWN_SECONDS if holder == this_process() else 0):
            raise busy(study, f"{holder}, which is at it")
        patience.sleep(0.2)


def busy(study: str, got: str) -> BusyError:
    """The error for a study that another coordinator has, or had meanwhile."""
    return BusyError(
        f"only one coordinator at a time may run study {study}",
        got=got,
        fix="wait for it or stop it, then run the same command again; "
        "more machines join through --ray, not by a second command",
    )


class StudyLog:
    """What a study remembers, as records; ``begin`` and ``find`` open it.

    Every call to its storage is repeated while a database is away.
    """

    def __init__(self, study: Study, patience: Patience) -> None:
        self.study = study
        self.patience = patience

    @classmethod
    def begin(
        cls, storage: BaseStorage, settings: Settings, search: SearchParams, patience: Patience
    ) -> StudyLog:
        """Make the study, or take it up where it is.

        Raises ConfigError, showing what differs, when it was begun with other settings.
        """
        several = search.objective == "pareto"
        make = partial(
            quiet_optuna().create_study,
            storage=storage,
            study_name=settings.name,
            directions=["maximize", "minimize"] if several else ["maximize"],
            load_if_exists=True,
        )
        log = cls(patience(make), patience)
        if not log._is_ours(settings):
            if log.trials():
                raise ConfigError(
                    "search.study must be a study of seglock's, or a new name",
                    got=f"{settings.name!r}, which something else began",
                    fix="choose another search.study",
                )
            log.remember(STUDY_ID, log.attribute(STUDY_ID) or uuid.uuid4().hex)
            log.remember(FINGERPRINT, settings.fingerprint)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Optuna's, that this may change
            patience(partial(log.study.set_metric_names, objective_names(search)))
        return log

    @classmethod
    def find(cls, storage: BaseStorage, settings: Settings, patience: Patience) -> StudyLog | None:
        """The study as it is, None where there is none; nothing is changed."""
        load = partial(quiet_optuna().load_study, storage=storage, study_name=settings.name)
        try:
            log = cls(patience(load), patience)
        except KeyError:
            return None
        return log if log._is_ours(settings) else None

    def _is_ours(self, settings: Settings) -> bool:
        earlier = self.attribute(FINGERPRINT)
        if earlier is not None:
            settings.check(earlier)
        return earlier is not None

    @property
    def id(self) -> str:
        """The study's own random id."""
        return str(self.attribute(STUDY_ID))

    def attribute(self, name: str) -> Any:
        """One of the study's notes, None where it has none of that name."""
        return self.notes().get(name)

    def notes(self) -> dict[str, Any]:
        """All that is noted of the study itself."""
        study, storage = self.study, self.study._storage
        return self.patience(lambda: _notes(storage.get_study_system_attrs(study._study_id)))

    def remember(self, name: str, value: Any) -> None:
        """Note something of the study, over an older value."""
        study, storage = self.study, self.study._storage
        own = f"{_OWN}{name}"
        self.patience(lambda: storage.set_study_system_attr(study._study_id, own, value))

    def trials(self) -> list[FrozenTrial]:
        """All trials as Optuna has them, by number."""
        return self.patience(lambda: self.study.get_trials(deepcopy=False))

    def records(self) -> list[TrialRecord]:
        """The trials that count, by number."""
        found = ((trial, counting_state(trial)) for trial in self.trials())
        return [trial_record(t.number, state, noted(t)) for t, state in found if state]

    def running(self) -> int:
        """How many trials are under way or queued."""
        return sum(not trial.state.is_finished() for trial in self.trials())

    def baselines(self, costs: Sequence[Cost], seeds: int) -> tuple[BaselineRecord, ...]:
        """The baselines of each cost of which all seeds are known."""
        known = self.notes()
        found = {c: [known.get(baseline_name(c, seed)) for seed in range(seeds)] for c in costs}
        return tuple(baseline_record(cost, some) for cost, some in found.items() if all(some))


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
        text = json.dumps(values | {"result": asdict(kept.result)}, allow_nan=False)
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
                    kept = values["result"]
                    result = TrialResult(**kept | {"curve": tuple(kept["curve"])})
                    found[file.stem] = Kept(file.stem, result, values["stopped"], values["run_id"])
        return found

    def _file(self, job: str) -> Path:
        return self.folder / f"{job}.json"


def objective_names(search: SearchParams) -> list[str]:
    """What Optuna and its dashboard call the objectives."""
    if search.objective == "pareto":
        return ["owner", "unauthorised"]
    return [f"owner - {search.weight:g} unauthorised"]


def noted(trial: FrozenTrial) -> dict[str, Any]:
    """What is noted of a trial."""
    return _notes(trial.system_attrs)


def own_notes(values: dict[str, Any]) -> dict[str, Any]:
    """Notes of a trial as the system attributes that they are."""
    return {f"{_OWN}{name}": value for name, value in values.items()}


def _notes(system: dict[str, Any]) -> dict[str, Any]:
    return {n.removeprefix(_OWN): value for n, value in system.items() if n.startswith(_OWN)}


def points(trials: Sequence[FrozenTrial]) -> dict[int, Point]:
    """What each trial that counts or is under way tries, by its number."""
    notes = {trial.number: noted(trial) for trial in trials}
    return {
        number: Point(**found[POINT])
        for number, found in notes.items()
        if POINT in found and not found.get(SUPERSEDED)
    }


def counting_state(trial: FrozenTrial) -> State | None:
    """The state of a trial that counts, None for one that is under way or was superseded."""
    state = trial.state.name
    if state == "FAIL" and noted(trial).get(SUPERSEDED):
        return None
    return _COUNTING.get(state)
