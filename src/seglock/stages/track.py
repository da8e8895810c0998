"""``seglock track``: the runs on record, and telling MLflow what it lacks from result files."""

from __future__ import annotations

import contextlib
from pathlib import Path

from seglock import files
from seglock.address import tracking_uri
from seglock.config import PARAMS_FILE, TrackingParams, load_params
from seglock.errors import SeglockError, TrackingError, as_command
from seglock.foreign import is_run_id
from seglock.stages.summary import summarise_lock
from seglock.stages.tell import changed_results, tell_again
from seglock.tracking import RunRecord, RunTracker, Store, end_killed, open_run, runs_folder


def list_runs(root: Path) -> list[RunRecord]:
    """Every run on record, oldest first. Those that killed processes left are ended, where the
    store answers."""
    with contextlib.suppress(TrackingError):
        end_killed(root, _store(root))
    return RunRecord.every(root)


def sync_run(text: str, root: Path) -> tuple[RunRecord, bool]:
    """Tell MLflow what it lacks of a run: an id, the unique start of one, or a trained lock's name.

    Returns the run's record, and whether there was anything to tell. Raises TrackingError when
    ``text`` means no run or several, when the run's process goes on, when a result file is not as
    it was when the run was told of it, and when the store is away.
    """
    store = _store(root)
    store.check()
    end_killed(root, store)
    record = find_run(text, root)
    if record.status == "RUNNING":
        raise TrackingError(
            "a run must be at its end to be told again",
            got=f"{record.name}, which goes on or is in another store than {store.shown}",
            fix="wait for its command to end",
        )
    if record.complete and record.store == store.shown:
        return record, False
    if faults := changed_results(record, root):
        raise TrackingError(
            f"the result files of run {record.run_id} must be as they were when it was tracked",
            got="; ".join(f"{name}, {fault}" for name, fault in faults.items()),
            fix="bring them back (`dvc checkout`, git), or give the run up with "
            f"{as_command('rm', runs_folder(root) / f'{record.run_id}.json')}",
        )
    params = _params(root).model_copy(update={"required": True, "experiment": record.experiment})
    tracker = open_run(params, name=record.name, tags={}, root=root, run_id=record.run_id)
    tracker.whole = False
    try:
        tell_again(tracker, record, root)
        _tell_study(tracker, record, root)
        _tell_summary(tracker, record, root)
    finally:
        tracker.close(record.status, ended=record.ended)
    if not tracker.record.complete:
        store.check()
        raise TrackingError(
            "the tracking store must take all of the run",
            got="an interruption",
            fix="run the same command again",
        )
    return tracker.record, True


def _tell_study(tracker: RunTracker, record: RunRecord, root: Path) -> None:
    for name in record.results:
        if Path(name).name == "study.json":
            from seglock.results.study import Study
            from seglock.search.mlflow_runs import tell_study

            tell_study(tracker, Study.read(root / name))


def _tell_summary(tracker: RunTracker, record: RunRecord, root: Path) -> None:
    """What follows from the results of a lock that params.yaml still has."""
    path, lock = root / PARAMS_FILE, record.tags.get("lock")
    if path.exists() and lock in (params := load_params(path)).locks:
        runs = {record.run_id, tracker.run_id}
        summarise_lock(lock, params, root, runs).tell(tracker)


def _params(root: Path) -> TrackingParams:
    path = root / PARAMS_FILE
    return load_params(path).tracking if path.exists() else TrackingParams()


def _store(root: Path) -> Store:
    return Store(tracking_uri(root), timeout=_params(root).timeout_seconds)


def find_run(text: str, root: Path) -> RunRecord:
    """The run that ``text`` means: an id, the unique start of one, or a trained lock's name.

    Raises TrackingError, listing the runs there are, when it means none or several.
    """
    known = {record.run_id: record for record in RunRecord.every(root)}
    for name in (text, _run_of_lock(text, root)):
        for record in known.values():
            if name and name in (record.run_id, record.store_run_id):
                return record
    matches = [name for name in known if text and name.startswith(text)]
    if len(matches) == 1:
        return known[matches[0]]
    if is_run_id(text):
        RunRecord.known(root, text)  # says what is wrong with one that is damaged
    raise TrackingError(
        "RUN must be a run's id, the unique start of one, or the name of a trained lock",
        got=f"{text!r}, which fits {', '.join(matches) or 'none'}",
        fix="`seglock track list` shows the runs there are",
    )


def _run_of_lock(text: str, root: Path) -> str:
    path = root / "data" / "models" / text / "training.json"
    try:
        return str(files.read_object(path, {"run_id": str})["run_id"])
    except SeglockError:
        return ""
