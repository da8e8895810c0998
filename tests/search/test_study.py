"""A study's one coordinator, and results on their way: whole, and with room kept for them."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import pytest

from seglock import files
from seglock.errors import BusyError, StorageError
from seglock.search import study
from seglock.search.coordinator import run_search
from seglock.search.database import ServerLock
from seglock.search.executor import TrialJob
from seglock.search.ledger import Ledger
from seglock.search.settings import study_folder, study_settings
from seglock.search.storage import Patience, open_storage
from seglock.search.study import Kept, Results, StudyLog, sole_coordinator
from tests.postgres import PASSWORD, Postgres
from tests.search.small_study import (
    FakeExecutor,
    Silent,
    finish,
    kill,
    result_of,
    run,
    start,
    study_params,
)
from tests.search.test_kill import trials_of

HERE = f"process {os.getpid()} on {socket.gethostname()}"


def coordinating(
    folder: Path, url: str | None
) -> contextlib.AbstractContextManager[Callable[[], None]]:
    """As a project in ``folder`` would have the study."""
    return sole_coordinator("small", folder, url, Patience(20.0))


def test_a_second_coordinator_in_the_folder_is_refused_before_it_does_anything(
    study_root: Path,
) -> None:
    executor = FakeExecutor()
    with (
        coordinating(study_folder(study_root, "small"), None),
        pytest.raises(BusyError, match=r"study small, got \S*small is in use"),
    ):
        run(study_root, executor, trials=2)
    assert (executor.closed, executor.seen) == (1, [])


def test_projects_that_share_a_sqlite_file_share_its_one_coordinator(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/studies.db"
    with coordinating(tmp_path / "one", url):
        with pytest.raises(BusyError, match="study small"), coordinating(tmp_path / "two", url):
            pass
        with sole_coordinator("other", tmp_path / "three", url, Patience(1.0)):
            pass
    with coordinating(tmp_path / "two", url):
        pass


@pytest.fixture
def url(postgres: Postgres, request: pytest.FixtureRequest) -> str:
    """A database of the test's own."""
    return postgres.new_database(request.node.name[-60:])


def test_projects_that_share_a_server_share_its_one_coordinator(
    tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(study, "OTHER_SECONDS", 0.0)
    monkeypatch.setattr(study, "OWN_SECONDS", 0.0)
    with coordinating(tmp_path / "one", url) as look:
        look()
        with (
            pytest.raises(BusyError, match=f"study small, got {HERE}, which is at it"),
            coordinating(tmp_path / "two", url),
        ):
            pass
        with sole_coordinator("other", tmp_path / "three", url, Patience(1.0)):
            look()
    with coordinating(tmp_path / "two", url) as look:
        look()


def test_a_killed_coordinator_has_the_servers_lock_no_more(study_root: Path, url: str) -> None:
    child = start(study_root, search={"trials": 9, "storage": url}, seconds=30.0)
    lock = ServerLock(url, "small")
    try:
        deadline = time.monotonic() + 60
        while (holder := lock.holder()) is None:
            lock.close()
            assert child.exitcode is None, (study_root / "stderr.txt").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.2)
        assert holder == f"process {child.pid} on {socket.gethostname()}"
        with pytest.raises(BusyError, match=holder), coordinating(study_root / "other", url):
            pass
    finally:
        kill(child)
        lock.close()
    with coordinating(study_root / "other", url) as look:
        look()
    assert finish(study_root, search={"trials": 2, "storage": url}) == 0


def test_a_lock_that_was_lost_with_its_server_is_taken_again(
    tmp_path: Path, postgres: Postgres, url: str
) -> None:
    other = ServerLock(url, "small")
    with coordinating(tmp_path / "one", url) as look:
        postgres.restart()
        look()
        assert other.holder() == HERE
        postgres.restart()
        # The other is faster now; its connection lives in this process, as would one of ours.
        with contextlib.closing(other), pytest.MonkeyPatch.context() as patch:
            patch.setattr(study, "OWN_SECONDS", 0.0)
            assert Patience(20.0)(other.holder) is None
            with pytest.raises(BusyError, match=f"got {HERE}, which is at it"):
                look()
        look()  # its connection is closed


def test_a_connection_of_ours_that_broke_unnoticed_is_waited_for(tmp_path: Path, url: str) -> None:
    """The server still holds the lock for it; seen here as a second one of this process."""
    lost = ServerLock(url, "small")
    assert lost.holder() is None
    waited: list[float] = []

    def sleep(seconds: float) -> None:
        waited.append(seconds)
        lost.close()

    with sole_coordinator("small", tmp_path, url, Patience(5.0, sleep=sleep)) as look:
        look()
    assert waited


def test_the_servers_lock_tells_no_password(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STUDY_PASSWORD", "wrong-password")
    with pytest.raises(Exception, match="password authentication failed") as refused:
        ServerLock(url, "small").holder()
    assert "wrong-password" not in str(refused.value)
    assert PASSWORD not in str(refused.value)


def test_ctrl_c_ends_the_wait_for_another_coordinator(
    study_root: Path, url: str, interrupted: list[float]
) -> None:
    with contextlib.closing(ServerLock(url, "small")) as other:
        assert other.holder() is None
        with pytest.raises(SystemExit) as stopped:
            run(study_root, trials=2, storage=url)
    assert stopped.value.code == 130
    assert len(interrupted) == 1
    assert trials_of(study_root, storage=url) == []


@contextlib.contextmanager
def another(root: Path, url: str) -> Iterator[Ledger]:
    """The study's accounts as another coordinator has them."""
    params, patience = study_params(2, storage=url), Patience(5.0)
    with open_storage(url, root, patience) as storage:
        settings = study_settings(params, root)
        yield Ledger(StudyLog.begin(storage, settings, params.search, patience), params)


def test_a_study_that_another_one_had_meanwhile_is_left_to_it(study_root: Path) -> None:
    """As after a restart of the server, when the other has come and gone between two looks."""
    url = f"sqlite:///{study_root}/studies.db"

    class Overtaken(FakeExecutor):
        def poll(self, decide: Any, timeout: float) -> Any:
            outcomes = super().poll(decide, timeout)
            if self.seen[-1].steps:
                with another(study_root, url) as ledger:
                    ledger.requeue_running()  # as on its start
            return outcomes

    executor = Overtaken()
    with pytest.raises(BusyError, match="trial 0, which was computed here"):
        run_search(study_params(2, storage=url), study_root, executor=executor, observer=Silent())
    assert executor.closed == 1
    states = [trial.state.name for trial in trials_of(study_root, storage=url)]
    assert states == ["FAIL", "WAITING"]


# Results on their way


def kept(job: str = "trial-3-1") -> Kept:
    stopped = {"rule": "behind", "epoch": 2, "reason": "so far"}
    return Kept(job, result_of(TrialJob(job, ("np-4",), {}, "", ""), [0.1, 0.3]), stopped, "run")


def test_a_result_comes_back_as_it_was_until_it_is_dropped(tmp_path: Path) -> None:
    results = Results(tmp_path / "results", "study")
    results.save(kept())
    assert Results(tmp_path / "results", "study").load() == {"trial-3-1": kept()}
    results.drop("trial-3-1")
    results.drop("trial-3-1")
    assert results.load() == {}


def test_results_of_another_study_and_half_written_ones_are_left_alone(tmp_path: Path) -> None:
    other = Results(tmp_path, "other")
    other.save(kept())
    (tmp_path / "trial-4-1.json").write_text('{"study": "mine", "resu')
    (tmp_path / ".trial-5-1.json.1.x.tmp").write_text("half")
    mine = Results(tmp_path, "mine")
    assert mine.load() == {}
    assert not (tmp_path / ".trial-5-1.json.1.x.tmp").exists()
    assert list(other.load()) == ["trial-3-1"]


def test_the_reserve_makes_room_on_a_full_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = Results(tmp_path, "study")
    real = files.os.fsync

    def full_with_reserve(handle: int | IO[bytes]) -> None:
        if (tmp_path / ".reserve").exists():
            raise OSError(28, "No space left on device")
        real(handle)

    monkeypatch.setattr("seglock.files.os.fsync", full_with_reserve)
    results.save(kept())
    assert list(results.load()) == ["trial-3-1"]
    monkeypatch.setattr(
        "seglock.files.os.fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left"))
    )
    with pytest.raises(StorageError, match="no space left"):
        results.save(kept("trial-4-1"))
    assert list(results.load()) == ["trial-3-1"]
