"""A study in its storage: made or found again, what it remembers, and who coordinates it."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from seglock.errors import ConfigError
from seglock.search.measured import Cost, baseline_name, baseline_record, trial_record
from seglock.search.record import BaselineRecord, State, TrialRecord

if TYPE_CHECKING:
    from optuna import Study
    from optuna.storages import BaseStorage
    from optuna.trial import FrozenTrial

    from seglock.config import SearchParams
    from seglock.search.settings import Settings
    from seglock.search.storage import Opened, Patience

T = TypeVar("T")
FINGERPRINT = "fingerprint"
STUDY_ID = "id"
RUN_ID = "run_id"
SUPERSEDED = "superseded"


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
