"""A study whose coordinator is killed, stopped, or loses its database or disk: it ends whole."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import threading
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from seglock.errors import StorageError
from seglock.search import coordinator
from seglock.search.coordinator import read_study, run_search
from seglock.search.settings import study_folder
from seglock.search.study import noted
from seglock.stages.track import list_runs
from seglock.tracking import RunRecord
from tests.postgres import PASSWORD, Postgres
from tests.search.small_study import FakeExecutor, Silent, finish, kill, start, study_params

TRIALS = 16


def trials_of(root: Path, **search: Any) -> list[Any]:
    """Every trial as Optuna has it, those that do not count included."""
    opened: list[Any] = []
    before = coordinator._outcome

    def kept(params: Any, settings: Any, log: Any, seconds: Any) -> Any:
        opened.extend(log.trials() if log else [])
        return before(params, settings, log, seconds)

    coordinator._outcome = kept
    try:
        read_study(study_params(**search), root)
    finally:
        coordinator._outcome = before
    return opened


def ended(root: Path) -> bool:
    """Whether no run of the project is on record as running."""
    return all(record.status != "RUNNING" for record in RunRecord.every(root))


def line(trial: Any) -> int:
    return int(noted(trial).get("line", trial.number))


def assert_whole(root: Path, trials: int, **search: Any) -> None:
    """Exactly so many trials count, none twice; nothing is left running, queued or on its way."""
    outcome = read_study(study_params(trials, **search), root)
    assert len(outcome.trials) == trials == outcome.counts.complete
    assert outcome.counts.running == 0
    everything = trials_of(root, **search)
    counted = {record.number for record in outcome.trials}
    ends = Counter(line(trial) for trial in everything if trial.number in counted)
    assert set(ends.values()) == {1}, "a trial counts twice"
    for trial in everything:
        assert trial.state.name in ("COMPLETE", "FAIL")
        assert trial.number in counted or noted(trial)["superseded"]
    lost = {line(t) for t in everything if "retry_of" in noted(t)} - set(ends)
    assert not lost, "a trial was superseded, and no copy of it came to an end"
    results = study_folder(root, "small") / "results"
    assert [file.name for file in results.iterdir()] == [".reserve"]
    assert ended(root)
    assert [len(group.owner_miou) for group in outcome.baselines] == [2]


def test_a_coordinator_killed_at_random_moments(study_root: Path) -> None:
    moments = random.Random(3)
    killed = 0
    while killed < 6:
        child = start(study_root, search={"trials": TRIALS}, seconds=0.05)
        child.join(timeout=moments.uniform(0.05, 1.0))
        if child.exitcode is not None:
            assert child.exitcode == 0
            break
        kill(child)
        killed += 1
    assert killed
    assert finish(study_root, search={"trials": TRIALS}) == 0
    assert_whole(study_root, TRIALS)


@pytest.mark.parametrize("count", [0, 5])
def test_killed_between_a_result_and_its_tell(study_root: Path, count: int) -> None:
    died = finish(study_root, search={"trials": 6}, crash=("result", count))
    assert died == -signal.SIGKILL
    results = study_folder(study_root, "small") / "results"
    kept = [file.stem for file in results.glob("*.json")]
    assert len(kept) == 1
    assert finish(study_root, search={"trials": 6}) == 0
    assert_whole(study_root, 6)
    # It was told, not computed again.
    if kept[0].startswith("trial"):
        number = int(kept[0].split("-")[1])
        found = next(
            t for t in read_study(study_params(6), study_root).trials if t.number == number
        )
        assert found.attempt == 1


def test_killed_between_the_copy_and_the_failure_of_a_trial(study_root: Path) -> None:
    child = start(study_root, search={"trials": 6}, seconds=60.0)
    until = time.monotonic() + 60
    while "RUNNING" not in {trial.state.name for trial in trials_of(study_root)}:
        assert time.monotonic() < until
        time.sleep(0.02)
    kill(child)
    for _ in range(3):  # each time the copy is there, and the old one is still running
        died = finish(study_root, search={"trials": 6}, crash=("copy", 0))
        assert died == -signal.SIGKILL
        copies = [t for t in trials_of(study_root) if noted(t).get("retry_of") == 0]
        assert len(copies) == 1
    assert finish(study_root, search={"trials": 6}) == 0
    assert_whole(study_root, 6)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopped_and_continued(study_root: Path, number: signal.Signals) -> None:
    child = start(study_root, search={"trials": TRIALS}, seconds=0.1, silent=False)
    deadline = time.monotonic() + 60
    while len(read_study(study_params(TRIALS), study_root).trials) < 3:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert child.pid is not None
    os.kill(child.pid, number)
    child.join(timeout=30)
    assert child.exitcode == 130
    states = Counter(trial.state.name for trial in trials_of(study_root))
    assert states["RUNNING"] == 0
    assert states["WAITING"] > 0
    assert ended(study_root)
    said = (study_root / "stderr.txt").read_text()
    assert f"of {TRIALS} trials" in said
    assert "run the same command to continue" in said
    assert finish(study_root, search={"trials": TRIALS}) == 0
    assert_whole(study_root, TRIALS)


def test_a_trial_that_was_told_before_the_kill_has_its_run_ended_after_it(
    study_root: Path,
) -> None:
    child = start(study_root, search={"trials": 4}, crash=("told", 0), tracked=True)
    child.join(timeout=120)
    assert child.exitcode == -signal.SIGKILL
    (record,) = read_study(study_params(4), study_root).trials
    assert record.run_id is not None
    assert {run["id"]: run for run in runs_of(study_root)}[record.run_id]["status"] == "RUNNING"
    assert finish(study_root, search={"trials": 4}, tracked=True) == 0
    run = {run["id"]: run for run in runs_of(study_root)}[record.run_id]
    assert run["status"] == "FINISHED"
    assert run["metrics"]["access/owner"] == record.owner_miou
    assert_whole(study_root, 4)


def test_killed_while_stopping(study_root: Path) -> None:
    child = start(study_root, search={"trials": 8}, seconds=0.1)
    deadline = time.monotonic() + 60
    while len(read_study(study_params(8), study_root).trials) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert child.pid is not None
    os.kill(child.pid, signal.SIGINT)
    time.sleep(0.01)
    kill(child)
    assert finish(study_root, search={"trials": 8}) == 0
    assert_whole(study_root, 8)


# A full disk


def _run(params: Any, root: Path, **options: Any) -> Any:
    return run_search(params, root, executor=FakeExecutor(**options), observer=Silent())


@pytest.fixture
def small_disk(study_root: Path) -> Iterator[Path]:
    """The study's folder on a disk of its own of 512 KiB."""
    folder = study_folder(study_root, "small")
    folder.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, check=False).returncode:
        pytest.skip("only root may mount a small disk")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_loses_nothing_that_was_measured(study_root: Path, small_disk: Path) -> None:
    params = study_params(12)
    filler = small_disk / "filler"
    executor = FakeExecutor()

    class Filling(Silent):
        def job_ended(self, job: str, record: Any) -> None:
            super().job_ended(job, record)
            if len(self.ended) == 5:
                with filler.open("wb", buffering=0) as file:
                    while _takes(file, 4096) or _takes(file, 1):
                        pass

    observer = Filling()
    with pytest.raises(StorageError) as stopped:
        run_search(params, study_root, executor=executor, observer=observer)
    assert "no space left" in str(stopped.value)
    assert "run the same command again" in str(stopped.value)
    assert "\n" not in str(stopped.value)
    before = {job for job, record in observer.ended if record}
    computed = [job.id for job in executor.seen]
    filler.unlink()
    assert len(_run(params, study_root).trials) == 12
    assert_whole(study_root, 12)
    told = {f"trial-{t.number}-{t.attempt}" for t in read_study(params, study_root).trials}
    assert before <= told
    # The result that no longer fitted beside the filler is there as well: nothing measured twice.
    assert {job for job in computed if job.startswith("trial")} <= told


def _takes(file: Any, size: int) -> bool:
    try:
        return bool(file.write(b"x" * size))
    except OSError:
        return False


# A database that goes away


def restarting(server: Postgres, root: Path, search: dict[str, Any], action: Any) -> Silent:
    """Run a study, and do something to its server in the middle of it."""
    observer = Silent()
    wanted = threading.Event()
    done: list[int] = []

    class Watching(Silent):
        def job_ended(self, job: str, record: Any) -> None:
            observer.ended.append((job, record))
            done.append(1)
            if len(done) in (4, 9):
                wanted.set()

        def say(self, message: str) -> None:
            observer.said.append(message)

    over = threading.Event()

    def disturb() -> None:
        while not over.is_set():
            if wanted.wait(0.05):
                wanted.clear()
                action()

    thread = threading.Thread(target=disturb)
    thread.start()
    try:
        run_search(
            study_params(**search), root, executor=FakeExecutor(2, 0.02), observer=Watching()
        )
    finally:
        over.set()
        thread.join()
    return observer


def test_a_database_that_restarts_and_one_that_is_away_for_seconds(
    study_root: Path, postgres: Postgres
) -> None:
    search = {"trials": 14, "storage": postgres.new_database("restarts")}
    actions = iter([postgres.restart, lambda: (postgres.stop(), time.sleep(2), postgres.start())])
    observer = restarting(postgres, study_root, search, lambda: next(actions)())
    assert any("database is away" in text for text in observer.said)
    assert any("answers again" in text for text in observer.said)
    assert PASSWORD not in "".join(observer.said)
    assert_whole(study_root, **search)


def test_a_database_that_stays_away_ends_in_one_message(
    study_root: Path, postgres: Postgres
) -> None:
    storage = postgres.new_database("stays-away")
    search = {"trials": 14, "storage": storage, "storage_timeout_seconds": 1.0}
    with pytest.raises(StorageError) as stopped:
        restarting(postgres, study_root, search, postgres.stop)
    assert "must answer within 1 s" in str(stopped.value)
    assert PASSWORD not in str(stopped.value)
    postgres.start()
    _run(study_params(**search), study_root)
    assert_whole(study_root, **search)


def test_killed_coordinators_of_a_study_in_a_database(study_root: Path, postgres: Postgres) -> None:
    search = {"trials": TRIALS, "storage": postgres.new_database("kills")}
    moments = random.Random(5)
    for _ in range(3):
        child = start(study_root, search=search, seconds=0.05)
        child.join(timeout=moments.uniform(0.5, 1.5))
        kill(child)
        assert child.exitcode in (0, -signal.SIGKILL)
    assert finish(study_root, search=search) == 0
    assert_whole(study_root, **search)


# MLflow's own store


def test_no_run_is_left_running_in_mlflow(
    study_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    child = start(study_root, search={"trials": 5}, seconds=0.4, tracked=True)
    deadline = time.monotonic() + 120
    while len(read_study(study_params(5), study_root).trials) < 1:
        assert time.monotonic() < deadline
        assert child.exitcode is None
        time.sleep(0.05)
    kill(child)
    assert Counter(run["status"] for run in runs_of(study_root))["RUNNING"] >= 2
    (record,) = list_runs(study_root)  # any command that looks at the runs ends what it left
    assert record.status == "KILLED"
    found = Counter(run["status"] for run in runs_of(study_root))
    assert "RUNNING" not in found
    assert found["KILLED"] >= 2  # the study's own, and a trial's
    assert finish(study_root, search={"trials": 5}, tracked=True) == 0
    assert_whole(study_root, 5)
    runs = {run["id"]: run for run in runs_of(study_root)}
    assert "RUNNING" not in {run["status"] for run in runs.values()}
    outcome = read_study(study_params(5), study_root)
    parents = [run for run in runs.values() if run["tags"]["kind"] == "study"]
    assert [run["id"] for run in parents] == [outcome.run_id]
    assert parents[0]["status"] == "FINISHED"
    assert parents[0]["metrics"]["study/complete"] == 5
    for record in outcome.trials:
        assert record.run_id is not None
        run = runs[record.run_id]
        assert run["status"] == "FINISHED"
        assert run["tags"]["mlflow.parentRunId"] == outcome.run_id
        assert run["tags"]["key_hash"].startswith("$argon2id$")
        assert run["params"]["block_size"] == str(record.block_size)
        assert run["metrics"]["access/owner"] == record.owner_miou


def runs_of(root: Path) -> list[dict[str, Any]]:
    """All runs of the project's store."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of MLflow's import
        from mlflow import MlflowClient

        client = MlflowClient(f"sqlite:///{root}/mlruns/mlflow.db")
        found = client.search_runs([e.experiment_id for e in client.search_experiments()])
    return [
        {
            "id": run.info.run_id,
            "status": run.info.status,
            "tags": run.data.tags,
            "params": run.data.params,
            "metrics": run.data.metrics,
        }
        for run in found
    ]
