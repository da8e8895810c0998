"""The coordinator of a study: opens it, runs it, and leaves it whole however that ends."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from seglock.errors import BusyError, SeglockError, StorageError
from seglock.results.study import Study
from seglock.search.interrupts import Interrupts
from seglock.search.ledger import Ledger
from seglock.search.loop import StudyLoop
from seglock.search.mlflow_runs import StudyRuns
from seglock.search.observer import Observer, Totals
from seglock.search.outcome import study_of
from seglock.search.settings import Settings, study_folder, study_settings
from seglock.search.storage import Patience, open_storage, open_to_read, shown_storage
from seglock.search.study import RUN_ID, Results, StudyLog, sole_coordinator

if TYPE_CHECKING:
    from seglock.config import Params
    from seglock.search.executor import Executor

__all__ = ["Finish", "Observer", "Totals", "read_study", "run_search"]

INTERRUPTED = 130
LAST_WAIT = 5.0  # seconds for a database that is away when the study is being put away
FINISHED_AT = "finished_at"
Finish = Callable[[Study], Path | None]
"""Writes the study's outputs while its run is open; returns their folder, which is recorded."""


def run_search(
    params: Params,
    root: Path,
    *,
    executor: Executor,
    observer: Observer | None = None,
    finish: Finish | None = None,
) -> Study:
    """Bring the study to ``search.trials`` trials, and close ``executor``.

    root: where data/prepared is. Ctrl-C and SIGTERM queue what is running again and end in
    SystemExit(130); the same command goes on, as it does after a kill at any moment.

    Raises BusyError when another coordinator has the study, ConfigError when it was begun with
    other settings, StorageError when its storage or the disk fails, TrainingError when nothing can
    be computed, TrackingError when the tracking store cannot be reached at the start.
    """
    from seglock.address import project_root

    observer = observer or Observer()
    started = time.monotonic()
    with (
        _stopped_before_work(observer),
        Interrupts() as stops,
        contextlib.ExitStack() as closing,
    ):
        closing.callback(executor.close)  # once, however often the stack is closed
        settings = study_settings(params, root)
        folder = study_folder(project_root(), settings.name)
        seconds, url = params.search.storage_timeout_seconds, params.search.storage
        patience = Patience(seconds, url, say=observer.say, sleep=stops.sleep)
        with (
            sole_coordinator(settings.name, folder, url, patience) as look,
            open_storage(url, folder, patience) as storage,
        ):
            log = StudyLog.begin(storage, settings, params.search, patience)
            runs = StudyRuns(log, params, settings, project_root())
            loop = StudyLoop(
                params, root, settings, Ledger(log, params), Results(folder / "results", log.id),
                runs, executor, observer, stops, look,
            )  # fmt: skip
            with _left_whole(loop, closing):
                loop.records = log.records()
                observer.study_opened(settings.name, shown_storage(url, settings.name), loop.totals)
                loop.run()
                stops.ignore()
                closing.close()
                seconds = round(time.monotonic() - started, 3)
                outcome = _finish(_outcome(params, settings, log, seconds), runs, log, finish)
    return outcome


def _finish(outcome: Study, runs: StudyRuns, log: StudyLog, finish: Finish | None) -> Study:
    """Write the outputs and record them, where the study's run does not have them yet."""
    counted = len(outcome.trials)
    if runs.begun or log.attribute(FINISHED_AT) != counted:
        outcome = outcome.model_copy(update={"run_id": runs.parent.run_id})
        runs.finish(outcome, finish(outcome) if finish else None)
        log.remember(FINISHED_AT, counted)
    elif finish:
        finish(outcome)
    return outcome


def read_study(params: Params, root: Path) -> Study:
    """The study as it is, without locking or changing it; one without trials where there is none.

    Raises ConfigError when it was begun with other settings.
    """
    from seglock.address import project_root

    settings = study_settings(params, root)
    folder = study_folder(project_root(), settings.name)
    url = params.search.storage
    patience = Patience(params.search.storage_timeout_seconds, url)
    with open_to_read(url, folder, patience) as storage:
        log = StudyLog.find(storage, settings, patience) if storage is not None else None
        return _outcome(params, settings, log, None)


def _outcome(
    params: Params, settings: Settings, log: StudyLog | None, seconds: float | None
) -> Study:
    records = log.records() if log else []
    own = params.train.epochs, params.data.image_side
    costs = dict.fromkeys([own, *((record.epochs, record.image_side) for record in records)])
    return study_of(
        params,
        settings.about,
        log.baselines(list(costs), params.search.baseline_seeds) if log else (),
        tuple(records),
        running=log.running() if log else 0,
        study=settings.name,
        storage=shown_storage(params.search.storage, settings.name),
        run_id=log.attribute(RUN_ID) if log else None,
        seconds=seconds,
    )


@contextlib.contextmanager
def _stopped_before_work(observer: Observer) -> Iterator[None]:
    """Ctrl-C while a database or another coordinator is waited for: nothing is to be put away."""
    try:
        yield
    except KeyboardInterrupt:
        observer.say("stopped before anything was begun; run the same command to continue")
        raise SystemExit(INTERRUPTED) from None


@contextlib.contextmanager
def _left_whole(loop: StudyLoop, closing: contextlib.ExitStack) -> Iterator[None]:
    """Leave nothing running, whatever ends the block."""
    stops, runs = loop.stops, loop.runs
    try:
        yield
    except BaseException as error:
        stops.ignore()
        with contextlib.suppress(Exception):  # a second error must not hide the first
            closing.close()
        if not isinstance(error, StorageError | BusyError):  # then the study is not to be had
            _queue_again(loop)
        runs.close("KILLED" if isinstance(error, KeyboardInterrupt) else "FAILED")
        if not isinstance(error, KeyboardInterrupt):
            raise
        loop.observer.say(
            f"stopped at {len(loop.records)} of {loop.totals.asked} trials; what was "
            "running is queued again; run the same command to continue"
        )
        raise SystemExit(INTERRUPTED) from None
    runs.close("FINISHED")


def _queue_again(loop: StudyLoop) -> None:
    """Where even that fails, trials stay running in the study, and the next command does it."""
    patience = loop.ledger.log.patience
    patience.seconds = min(patience.seconds, LAST_WAIT)
    with contextlib.suppress(SeglockError, OSError):
        loop.requeue_running()
