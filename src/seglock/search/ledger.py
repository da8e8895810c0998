"""The study's accounts: each trial asked for once, told once, and never left lying.

Only the coordinator changes them. Each change may be repeated: where a database went away in the
middle, what is there is looked at again before anything is added.
"""

from __future__ import annotations

import uuid
import warnings
from collections.abc import Container
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from seglock.search.draw import limits_of, next_point
from seglock.search.point import Point
from seglock.search.samplers import make_pruner, make_sampler
from seglock.search.space import suggest, to_suggestions
from seglock.search.study import (
    MEASURED,
    POINT,
    RUN_ID,
    SUPERSEDED,
    StudyLog,
    noted,
    own_notes,
)

if TYPE_CHECKING:
    from optuna import Trial
    from optuna.trial import FrozenTrial

    from seglock.config import Params

# What is noted of a trial, beside what the study reads; the lock for people.
LOCK, TICKET, REASON = "lock", "ticket", "reason"
RETRY_OF, LINE, ATTEMPT, FAILURES = "retry_of", "line", "attempt", "failures"
_SHOWN = ("drop", "regained", "strongest", "key_space_bits", "seconds")
"""Figures of a trial that are user attributes, for people."""


@dataclass(frozen=True)
class Asked:
    """A trial to compute. ``line`` is the number of its first attempt. ``attempt`` counts from 1,
    whatever ended those before; ``failures`` only what went wrong with a worker."""

    number: int
    point: Point
    line: int
    attempt: int
    failures: int

    @property
    def job(self) -> str:
        """The job's id, new for each attempt."""
        return f"trial-{self.number}-{self.attempt}"


class Ledger:
    """Asks and tells for one study, whose only coordinator the caller is."""

    def __init__(self, log: StudyLog, params: Params) -> None:
        self.log = log
        self.params = params
        self.search = params.search
        self._ours: dict[int, Trial] = {}
        log.study.pruner = make_pruner(params.search)

    def adopt(self, jobs: Container[str]) -> list[Asked]:
        """Take over those of these jobs' trials that an earlier coordinator left running."""
        known = (_asked(trial) for trial in self._not_ours() if POINT in noted(trial))
        found = [asked for asked in known if asked.job in jobs]
        self._ours |= {asked.number: self._trial(asked.number) for asked in found}
        return found

    def ask(self) -> Asked | None:
        """The next trial: one that is queued, one that is planned, or the sampler's.

        None when a grid has been tried whole.
        """
        return self.log.patience(self._ask)

    def _ask(self) -> Asked | None:
        self.requeue_running()
        while True:
            trials = self.log.trials()
            if not any(trial.state.name == "WAITING" for trial in trials):
                chosen = next_point(self.log, trials, self.params)
                if chosen is not None:
                    own = to_suggestions(chosen, self.params)
                    self._enqueue(own, {POINT: asdict(chosen)})
                elif self.search.sampler == "grid":
                    return None
            self.log.study.sampler = make_sampler(self.search, len(trials))
            trial = self.log.study.ask()
            known = noted(self._frozen(trial.number))
            if _is_twice(trial.number, known, trials):
                self._supersede(trial)
                continue
            values = known.get(POINT)
            # Asked even where the point is known, so that Optuna has the trial's parameters.
            drawn = suggest(trial, self.params)
            point = Point(**values) if values else drawn
            trial.set_user_attr(LOCK, point.lock)
            _note(trial, POINT, asdict(point))
            self._ours[trial.number] = trial
            return _asked(self._frozen(trial.number))

    def started(self, number: int, run_id: str) -> None:
        """Note the MLflow run of a trial."""
        self.log.patience(lambda: _note(self._ours[number], RUN_ID, run_id))

    def report(self, number: int, epoch: int, value: float) -> bool:
        """Tell Optuna's pruner of an epoch; True when it would stop the trial."""

        def told() -> bool:
            trial = self._ours[number]
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # Optuna's, where a lost answer made us tell twice
                trial.report(value, epoch)
            return trial.should_prune()

        return self.log.patience(told)

    def complete(self, number: int, measured: dict[str, Any]) -> None:
        """A trial was measured."""
        owner, unauthorised = measured["owner_miou"], measured["unauthorised"]
        values = [owner, unauthorised]
        if self.search.objective == "scalar":
            values = [owner - self.search.weight * unauthorised]
        limits = limits_of(measured, self.search)
        shown = {name: measured.get(name) for name in _SHOWN}
        shown = {name: value for name, value in shown.items() if value is not None}
        shown.setdefault("regained", 1.0)  # an owner without a lead
        notes = {MEASURED: measured}
        self._end(number, "COMPLETE", notes, shown=shown, values=values, limits=limits)

    def stop(self, number: int, measured: dict[str, Any], behind: float) -> None:
        """A trial was stopped early, ``behind`` the baselines' validation mean IoU by so much.

        Without that constraint TPE would rank it above measured trials that break a limit.
        """
        limits = {"drop": behind - self.search.max_drop}
        shown = {"stopped": (measured.get("stopped") or {}).get("rule", "")}
        self._end(number, "PRUNED", {MEASURED: measured}, shown=shown, limits=limits)

    def fail(self, number: int, reason: str) -> None:
        """A trial failed for good."""
        self._end(number, "FAIL", {REASON: reason}, shown={REASON: reason})

    def requeue(self, number: int, *, failed: bool) -> None:
        """Queue a copy of a trial whose worker, or whose coordinator, is gone.

        The copy comes first: between the two the trial is there twice, one of them running, and
        the next coordinator sees that it has a copy. The other way round it could be lost.
        """

        def again() -> None:
            old = self._frozen(number)
            if old.state.is_finished():
                return
            has_copy = any(noted(t).get(RETRY_OF) == number for t in self.log.trials())
            if not has_copy and not noted(old).get(SUPERSEDED):
                self._queue_copy(old, failed=failed)
            between_copy_and_failure()
            self._supersede(self._trial(number))

        self.log.patience(again)
        self._ours.pop(number, None)

    def requeue_running(self) -> None:
        """Queue again what runs and is not ours: it was left there, or an ask's answer was lost."""
        for trial in self._not_ours():
            self.requeue(trial.number, failed=False)

    def _not_ours(self) -> list[FrozenTrial]:
        running = (trial for trial in self.log.trials() if trial.state.name == "RUNNING")
        return [trial for trial in running if trial.number not in self._ours]

    def _queue_copy(self, old: FrozenTrial, *, failed: bool) -> None:
        attributes = noted(old)
        params = old.params if POINT in attributes else old.system_attrs.get("fixed_params")
        if params is None:
            return  # the ask was cut short: there is nothing yet that could be lost
        kept = {POINT: attributes[POINT]} if POINT in attributes else {}
        kept |= {
            RETRY_OF: old.number,
            LINE: attributes.get(LINE, old.number),
            ATTEMPT: attributes.get(ATTEMPT, 1) + 1,
            FAILURES: attributes.get(FAILURES, 0) + failed,
        }
        self._enqueue(params, kept)

    def _enqueue(self, params: dict[str, Any], attributes: dict[str, Any]) -> None:
        """As Optuna's ``enqueue_trial`` does, which takes no system attributes."""
        from optuna.trial import TrialState, create_trial

        self.log.study.add_trial(
            create_trial(
                state=TrialState.WAITING,
                system_attrs={
                    "fixed_params": params,
                    **own_notes(attributes | {TICKET: uuid.uuid4().hex}),
                },
            )
        )

    def _end(
        self,
        number: int,
        state: str,
        notes: dict[str, Any],
        *,
        shown: dict[str, Any],
        values: list[float] | None = None,
        limits: dict[str, float] | None = None,
    ) -> None:
        from optuna.trial import TrialState

        def ended() -> None:
            if self._frozen(number).state.is_finished():
                return
            trial = self._trial(number)
            for name, value in shown.items():
                trial.set_user_attr(name, value)
            for name, value in notes.items():
                _note(trial, name, value)
            known = trial.constraints
            for name, value in (limits or {}).items():
                if name not in known:
                    trial.set_constraint(name, value)
            self.log.study.tell(number, values, state=TrialState[state])

        self.log.patience(ended)
        self._ours.pop(number, None)

    def _supersede(self, trial: Trial) -> None:
        from optuna.trial import TrialState

        _note(trial, SUPERSEDED, True)
        self.log.study.tell(trial.number, state=TrialState.FAIL)

    def _trial(self, number: int) -> Trial:
        from optuna import Trial

        if number in self._ours:
            return self._ours[number]
        return Trial(self.log.study, self._frozen(number)._trial_id)

    def _frozen(self, number: int) -> FrozenTrial:
        return self.log.trials()[number]


def _note(trial: Trial, name: str, value: Any) -> None:
    for own, noting in own_notes({name: value}).items():
        trial.storage.set_trial_system_attr(trial._trial_id, own, noting)


def _asked(trial: FrozenTrial) -> Asked:
    attributes = noted(trial)
    return Asked(
        trial.number,
        Point(**attributes[POINT]),
        attributes.get(LINE, trial.number),
        attributes.get(ATTEMPT, 1),
        attributes.get(FAILURES, 0),
    )


def _is_twice(number: int, notes: dict[str, Any], before: list[FrozenTrial]) -> bool:
    """Whether a queued trial was queued twice, as when the first answer was lost, and the other
    one was asked ``before``."""
    mine = {name: value for name, value in notes.items() if name in (TICKET, RETRY_OF)}
    asked = (noted(t) for t in before if t.number != number and t.state.name != "WAITING")
    return any(
        known.get(name) == value and not known.get(SUPERSEDED)
        for known in asked
        for name, value in mine.items()
    )


def between_copy_and_failure() -> None:
    """Where a crash leaves a trial twice; tests crash here."""
