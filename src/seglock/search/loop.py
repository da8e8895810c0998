"""The coordinator's loop: hand out, wait, tell; from where a study is to all its trials."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from seglock.errors import TrainingError
from seglock.results.tradeoff import pareto_front
from seglock.results.trial import Stopped
from seglock.search.dispatch import FAILURES_IN_A_ROW, Baseline, Dispatch, Work
from seglock.search.early_stopping import mean_best, rivals, should_stop
from seglock.search.executor import Failed, Finished, TrialJob
from seglock.search.ledger import Asked
from seglock.search.measured import baseline_values, measured_values
from seglock.search.observer import Totals
from seglock.search.outcome import asked_in_all
from seglock.search.space import apply_point, baseline_point
from seglock.search.study import Kept, busy

if TYPE_CHECKING:
    from seglock.config import Params
    from seglock.results.trial import TrialRecord
    from seglock.search.executor import Executor, Outcome
    from seglock.search.interrupts import Interrupts
    from seglock.search.ledger import Ledger
    from seglock.search.mlflow_runs import StudyRuns
    from seglock.search.observer import Observer
    from seglock.search.settings import Settings
    from seglock.search.study import Results
    from seglock.training import EpochRow

POLL_SECONDS = 1.0


@dataclass
class _Flight:
    """A job that the executor has. ``kept``: its result is safe, whatever comes."""

    work: Work
    run_id: str = ""
    curve: list[float] = field(default_factory=list)
    stop: Stopped | None = None
    kept: bool = False


@dataclass
class StudyLoop:
    """One command's work on one study, whose only coordinator the caller is; ``stay_sole`` asks."""

    params: Params
    root: Path
    settings: Settings
    ledger: Ledger
    results: Results
    runs: StudyRuns
    executor: Executor
    observer: Observer
    stops: Interrupts
    stay_sole: Callable[[], None]
    records: list[TrialRecord] = field(default_factory=list)
    _flights: dict[str, _Flight] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.dispatch = Dispatch(self.ledger, self.params.search)

    @property
    def missing(self) -> int:
        """How many trials the study lacks; those under way are not there yet."""
        return self.params.search.trials - len(self.records)

    @property
    def totals(self) -> Totals:
        """How far the study is."""
        front = len(pareto_front(self.records))
        asked = asked_in_all(self.params, self.records)
        return Totals(asked, len(self.records), len(self._flights), front)

    def run(self) -> None:
        """Ask, hand out and tell until the study has its trials."""
        self._recover()
        if self.missing > 0:
            _ = self.runs.parent  # a tracking store that is away is told of before any work
        while self._hand_out():
            with self.stops.allow_interrupts():
                outcomes = self.executor.poll(self._decide, POLL_SECONDS)
            # Results first: a failure may end the study, and nothing measured is to be lost.
            for outcome in sorted(outcomes, key=lambda found: isinstance(found, Failed)):
                self._take(outcome)
        self.ledger.requeue_running()

    def requeue_running(self) -> None:
        """Queue again what was under way and has no result."""
        flying = [flight.work for flight in self._flights.values() if not flight.kept]
        for work in [*flying, *self.dispatch.held]:
            if isinstance(work, Asked):
                self.ledger.requeue(work.number, failed=False)
        for asked in self.dispatch.to_retry:
            self.dispatch.requeue(asked)

    def _recover(self) -> None:
        """Tell the study of results that it does not know; queue again what has none."""
        log = self.ledger.log
        self.records = log.records()
        kept = self.results.load()
        told = {f"trial-{record.number}-{record.attempt}": record for record in self.records}
        for job, found in kept.items():
            self.runs.take_up(job, found.run_id)
            if job.startswith("baseline-"):
                self._tell_baseline(job, found)
            elif record := told.get(job):
                self.runs.end_trial(job, record)  # told before the kill, its run was not
        for asked in self.ledger.adopt(kept):
            self._tell_trial(asked, kept[asked.job])
        self.ledger.requeue_running()
        for job in kept:
            self.results.drop(job)

    def _hand_out(self) -> bool:
        """Give the executor what it can take; False when the study is at its end."""
        self.stay_sole()
        while (free := self.executor.free) > 0:
            flying = [flight.work for flight in self._flights.values()]
            work = self.dispatch.next(free, self.missing, flying)
            if work is None:
                break
            self._submit(work)
        if self._flights:
            return True
        if self.dispatch.is_done(self.missing):
            return False
        self.stops.sleep(POLL_SECONDS)  # no worker is there: a cluster may get one back
        return True

    def _submit(self, work: Work) -> None:
        # Noted before anything can fail: what is in flight is put away.
        flight = self._flights[work.job] = _Flight(work)
        if isinstance(work, Asked):
            point, seed = work.point, self.params.train.seed
        else:
            point = baseline_point(self.params, *work.cost)
            seed = self.params.train.seed + work.index
        job = TrialJob(
            id=work.job,
            steps=point.steps,
            params=apply_point(self.params, point, seed=seed).model_dump(mode="json"),
            root=str(Path(self.root).resolve()),
            data_digest=self.settings.about["dataset_digest"],
            weights_sha256=self.settings.fingerprint["weights"]["sha256"],
            refuse=point.refuse,
        )
        flight.run_id = self.runs.begin(work.job, point)
        if isinstance(work, Asked):
            self.ledger.started(work.number, flight.run_id)
        self.executor.submit(job)
        self.observer.job_started(work.job, point)

    def _decide(self, job: str, row: EpochRow) -> bool:
        """Called by the executor after each epoch of a job; True stops it."""
        with self.stops.held_back():
            flight = self._flights.get(job)
            if flight is None:
                return False
            flight.curve.append(row["val_miou"])
            self.runs.epoch(job, row)
            self.observer.epoch(job, row)
            if isinstance(flight.work, Asked) and flight.stop is None:
                flight.stop = self._judge(flight.work, flight.curve)
            return flight.stop is not None

    def _judge(self, asked: Asked, curve: list[float]) -> Stopped | None:
        search, group = self.params.search, self.dispatch.group(asked.point.cost)
        if group is None or search.pruner == "none":
            return None
        if search.pruner == "baseline":
            others = rivals(asked.point.recipe, self.records, search)
            return should_stop(curve, group, others, search)
        epoch = len(curve)
        value = curve[-1] - search.weight * group.floor
        stop = self.ledger.report(asked.number, epoch, value)
        if not stop or not search.warmup_epochs < epoch < asked.point.epochs:
            return None
        reason = f"Optuna's {search.pruner} pruner, at {value:.4f}"
        return Stopped(rule="pruner", epoch=epoch, reason=reason)

    def _take(self, outcome: Outcome) -> None:
        """Tell the study what became of a job."""
        self.stay_sole()
        flight = self._flights.get(outcome.job)
        if flight is None:
            return
        if isinstance(outcome, Finished) and outcome.result.scores is None and not flight.stop:
            reason = "its training was stopped, and not by the study"
            outcome = Failed(outcome.job, reason, permanent=False)
        if isinstance(outcome, Failed):
            self._failed(outcome, flight)
        else:
            self.dispatch.succeeded()
            self._finished(outcome, flight)
        self.observer.totals(self.totals)

    def _finished(self, outcome: Finished, flight: _Flight) -> None:
        result = outcome.result
        stopped = flight.stop.document() if flight.stop and result.scores is None else None
        kept = Kept(outcome.job, result, stopped, flight.run_id)
        self.results.save(kept)
        flight.kept = True
        between_result_and_tell()
        if isinstance(flight.work, Asked):
            self._tell_trial(flight.work, kept)
        else:
            self._tell_baseline(outcome.job, kept)
        del self._flights[outcome.job]
        self.results.drop(outcome.job)

    def _tell_trial(self, asked: Asked, kept: Kept) -> None:
        baseline = self.dispatch.group(asked.point.cost)
        assert baseline is not None, "a trial is handed out after its baselines"
        measured = measured_values(kept.result, baseline, kept.stopped)
        if kept.stopped is None:
            self.ledger.complete(asked.number, measured)
        else:
            curve = measured["curve"]
            behind = mean_best(baseline, len(curve)) - max(curve)
            self.ledger.stop(asked.number, measured, behind)
        self._counts(asked)

    def _counts(self, asked: Asked) -> None:
        """A trial is at its end: remember its record, and end its run."""
        self.records = self.ledger.log.records()
        record = next((found for found in self.records if found.number == asked.number), None)
        if record is None:
            # The server's lock was lost, and another one had it before we took it again.
            got = f"trial {asked.number}, which was computed here and ended by another one"
            raise busy(self.settings.name, got)
        self.runs.end_trial(asked.job, record)
        self.observer.job_ended(asked.job, record)

    def _tell_baseline(self, job: str, kept: Kept) -> None:
        seed = self.params.train.seed + int(job.rpartition("-")[2])
        values = baseline_values(kept.result, seed, kept.run_id)
        self.ledger.log.remember(job, values)
        self.runs.end_baseline(job, values)
        self.observer.job_ended(job, None)

    def _failed(self, failed: Failed, flight: _Flight) -> None:
        """Try again later, or give up: the trial, or the study where nothing works."""
        work = flight.work
        flying = [other.work for other in self._flights.values()]
        given_up = self.dispatch.failed(work, flying, permanent=failed.permanent)
        if given_up and isinstance(work, Asked):
            self.ledger.fail(work.number, failed.reason)
            self._counts(work)
        else:
            self.runs.end(failed.job, "FAILED", failed.reason)
            self.observer.job_ended(failed.job, None)
        del self._flights[failed.job]
        if given_up and isinstance(work, Baseline):
            raise _no_baseline(work, failed.reason)
        if not given_up:
            self.observer.say(f"{failed.job} has no result ({failed.reason}); it is tried again")
        if self.dispatch.nothing_works:
            raise _nothing_works(failed)


def _no_baseline(baseline: Baseline, reason: str) -> TrainingError:
    epochs, side = baseline.cost
    return TrainingError(
        f"the plain network must be trainable at {epochs} epochs and image side {side}",
        got=f"{baseline.job}: {reason}",
        fix="mend that, then run the same command again; trials are measured against it",
    )


def _nothing_works(failed: Failed) -> TrainingError:
    return TrainingError(
        "trials must come to a result",
        got=f"{FAILURES_IN_A_ROW} failures in a row, the last {failed.job}: {failed.reason}",
        fix="mend that, then run the same command again; the trials stay queued",
    )


def between_result_and_tell() -> None:
    """Where a crash leaves a result that the study does not know; tests crash here."""
