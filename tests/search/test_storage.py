"""Where a study is kept: URLs, passwords, drivers, leases, and what a dashboard sees."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError, ProgrammingError

from seglock.cli.search import _print_study
from seglock.errors import BusyError, ConfigError, KeyRefusedError, SeglockError, StorageError
from seglock.search import lease as leases
from seglock.search.coordinator import read_study, run_search
from seglock.search.database import expand_url
from seglock.search.lease import LEASE, Lease
from seglock.search.settings import study_settings
from seglock.search.storage import Opened, Patience, open_storage
from seglock.search.study import StudyLog
from tests.postgres import PASSWORD, Postgres
from tests.search.fakes import is_running, wait_for
from tests.search.small_study import FakeExecutor, Silent, kill, start, study_params

AWAY = OperationalError("select 1", None, Exception("connection refused"))


def opened(url: str | None, folder: Path, seconds: float = 1.0) -> Opened:
    return open_storage(url, folder, Patience(seconds))


def run(root: Path, **search: Any) -> Any:
    return run_search(study_params(**search), root, executor=FakeExecutor(), observer=Silent())


def test_variables_are_expanded_and_quoted_where_they_must_be(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("WHO", "a:b")
    monkeypatch.setenv("HOST", "db.example.org")
    monkeypatch.setenv("WHOLE", "postgresql://a:b%40c@db/x")
    assert expand_url("postgresql://${WHO}@$HOST:5432/x") == (
        "postgresql://a%3Ab@db.example.org:5432/x"
    )
    assert expand_url("$WHOLE") == "postgresql://a:b%40c@db/x"
    with pytest.raises(ConfigError, match=r"\$MISSING in search.storage must be set"):
        expand_url("postgresql://ann:$MISSING@db/x")
    with pytest.raises(KeyRefusedError, match=r"got postgresql://ann:\$SEGLOCK_KEY_MAIN"):
        expand_url("postgresql://ann:$SEGLOCK_KEY_MAIN@db/x")


def test_what_a_database_says_is_told_as_params_yaml_has_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("STUDIES", "nosuch://me:hunter22@host/x")
    with pytest.raises(ConfigError, match=r"got \$STUDIES") as caught:
        open_storage("$STUDIES", tmp_path, Patience(0.0, "$STUDIES"))
    assert "hunter22" not in str(caught.value)
    said: list[str] = []

    def away() -> int:
        if not said:
            raise OperationalError("", {}, Exception("no answer from hunter22.example.org"))
        return 7

    monkeypatch.setenv("HOST", "hunter22.example.org")
    patience = Patience(5.0, "postgresql://me@$HOST/x", say=said.append, sleep=lambda _: None)
    assert patience(away) == 7
    assert said[0] == "the study's database is away (no answer from $HOST); waiting for it"
    said.clear()
    with pytest.raises(StorageError, match=r"got no answer from \$HOST"):
        Patience(0.0, "postgresql://me@$HOST/x", sleep=lambda _: None)(away)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("nonsense", "must be the URL of a database"),
        ("nosuch://me@host/studies", "must be the URL of a database"),
        ("postgresql://me@host:port/studies", "must be the URL of a database"),
        ("mysql://me:secret@host/studies", "install its driver"),
    ],
)
def test_a_url_that_cannot_work_is_one_message(tmp_path: Path, url: str, says: str) -> None:
    with pytest.raises(ConfigError) as refused:
        opened(url, tmp_path)
    assert says in str(refused.value)
    assert "secret" not in str(refused.value)
    assert "\n" not in str(refused.value)


def test_without_a_driver_the_message_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"pip install 'seglock\[postgres\]'"):
        opened("postgresql://me@host/studies", tmp_path)


def test_patience_repeats_while_the_database_is_away_and_tells_it_once() -> None:
    said: list[str] = []
    slept: list[float] = []
    answers = iter([AWAY, AWAY, 7])

    def call() -> int:
        found = next(answers)
        if isinstance(found, Exception):
            raise found
        return found

    assert Patience(5.0, say=said.append, sleep=slept.append)(call) == 7
    assert len(slept) == 2
    assert [text.partition(" (")[0] for text in said] == [
        "the study's database is away",
        "the study's database answers again",
    ]


@pytest.mark.parametrize(
    ("error", "kind", "says"),
    [
        (AWAY, StorageError, "must answer within 0 s, got connection refused"),
        (OSError(28, "No space left on device"), StorageError, "no space left on device"),
        (
            OperationalError("x", None, Exception('password authentication failed for user "me"')),
            ConfigError,
            "lets this user in",
        ),
        (
            OperationalError("x", None, Exception("database or disk is full")),
            StorageError,
            "must be writable",
        ),
        (
            ProgrammingError("x", None, Exception("permission denied for table studies")),
            StorageError,
            "must take what is written, got permission denied",
        ),
    ],
)
def test_what_patience_does_not_wait_for(
    error: Exception, kind: type[SeglockError], says: str
) -> None:
    def call() -> None:
        raise error

    with pytest.raises(kind) as refused:
        Patience(0.0, sleep=lambda _: None)(call)
    assert says in str(refused.value)


def test_other_errors_are_not_hidden() -> None:
    def call() -> None:
        raise ValueError("a bug")

    with pytest.raises(ValueError, match="a bug"):
        Patience(5.0)(call)


def test_a_study_in_sqlite(study_root: Path) -> None:
    url = f"sqlite:///{study_root}/studies.db"
    assert read_study(study_params(2, storage=url), study_root).trials == ()
    outcome = run(study_root, trials=2, storage=url)
    assert outcome.storage == url
    assert len(read_study(study_params(2, storage=url), study_root).trials) == 2


def test_a_relative_database_is_the_projects_wherever_the_study_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project, elsewhere = tmp_path / "50% of #1?", tmp_path / "elsewhere"
    project.mkdir()
    elsewhere.mkdir()
    monkeypatch.setenv("DVC_ROOT", str(project))  # as under dvc exp run --temp
    monkeypatch.chdir(elsewhere)
    opened("sqlite:///studies.db", project).close()
    assert (project / "studies.db").is_file()
    assert list(elsewhere.iterdir()) == []


def test_reading_makes_nothing(study_root: Path) -> None:
    outcome = read_study(study_params(2), study_root)
    assert (outcome.trials, outcome.baselines, outcome.run_id) == ((), (), None)
    assert outcome.storage.endswith("small/journal.log")
    assert not (study_root / ".seglock").exists()


def test_a_study_of_someone_elses_is_not_taken(study_root: Path) -> None:
    import optuna

    url = f"sqlite:///{study_root}/studies.db"
    storage = opened(url, study_root)
    optuna.create_study(storage=storage.storage, study_name="small").ask()
    storage.close()
    with pytest.raises(ConfigError, match="something else began"):
        run(study_root, trials=2, storage=url)


def test_the_password_reaches_postgresql_and_nothing_else(
    study_root: Path, postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = postgres.new_database("passwords")
    outcome = run(study_root, trials=2, storage=url)
    assert "$STUDY_PASSWORD" in outcome.storage
    assert len(read_study(study_params(2, storage=url), study_root).trials) == 2
    for file in study_root.rglob("*"):
        assert not file.is_file() or PASSWORD.encode() not in file.read_bytes()
    monkeypatch.setenv("STUDY_PASSWORD", "wrong-password")
    with pytest.raises(ConfigError) as refused:
        run(study_root, trials=3, storage=url)
    assert "password authentication failed" in str(refused.value)
    assert "wrong-password" not in str(refused.value)


# One coordinator


@pytest.fixture
def log_of(study_root: Path) -> Iterator[Callable[[str], StudyLog]]:
    """Opens the study in a database as another coordinator would; closed at the end."""
    patience = Patience(5.0)
    with contextlib.ExitStack() as stack:

        def begin(url: str) -> StudyLog:
            params = study_params(2, storage=url)
            storage = stack.enter_context(
                contextlib.closing(open_storage(url, study_root, patience))
            )
            settings = study_settings(params, study_root)
            return StudyLog.begin(storage, settings, params.search, patience)

        yield begin


def test_two_machines_do_not_coordinate_one_study(
    study_root: Path, monkeypatch: pytest.MonkeyPatch, log_of: Callable[[str], StudyLog]
) -> None:
    monkeypatch.setattr(leases, "BEAT_SECONDS", 0.2)
    monkeypatch.setattr(leases, "STALE_SECONDS", 3.0)
    url = f"sqlite:///{study_root}/studies.db"
    log = log_of(url)
    first, second = Lease(log), Lease(log_of(url))
    first.take()
    try:
        with pytest.raises(BusyError, match=f"process {os.getpid()} on"):
            second.take()
        # Seen from another machine a process id says nothing; that the lease changes does.
        monkeypatch.setattr(leases, "machine", lambda: "another")
        with pytest.raises(BusyError):
            second.take()
    finally:
        first.give_back()
    assert log.attribute(LEASE) is None
    second.take()
    second.give_back()


def test_a_stale_lease_is_taken_over_and_its_holder_stops(
    study_root: Path, monkeypatch: pytest.MonkeyPatch, log_of: Callable[[str], StudyLog]
) -> None:
    monkeypatch.setattr(leases, "STALE_SECONDS", 1.0)
    log = log_of(f"sqlite:///{study_root}/studies.db")
    held = {"token": "x", "beat": 3, "host": "elsewhere", "machine": "other", "pid": 1}
    log.remember(LEASE, held)
    lease = Lease(log)
    lease.take()
    lease.check()
    log.remember(LEASE, held)
    lease._look()
    with pytest.raises(BusyError, match="process 1 on elsewhere"):
        lease.check()
    lease.give_back()
    assert log.attribute(LEASE) == held  # it is the other's now


def test_the_lease_of_a_dead_process_does_not_hold(
    study_root: Path,
    postgres: Postgres,
    monkeypatch: pytest.MonkeyPatch,
    log_of: Callable[[str], StudyLog],
) -> None:
    url = postgres.new_database("leases")
    child = start(study_root, search={"trials": 9, "storage": url}, seconds=30.0)
    try:
        deadline = time.monotonic() + 60
        log = log_of(url)
        while log.attribute(LEASE) is None:
            assert child.exitcode is None, (study_root / "stderr.txt").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        with pytest.raises(BusyError, match=f"process {child.pid} on {socket.gethostname()}"):
            Lease(log).take()
    finally:
        kill(child)
    monkeypatch.delattr(leases, "STALE_SECONDS")  # it is taken at once, not watched for a while
    lease = Lease(log)
    lease.take()
    lease.give_back()


def test_a_killed_process_that_nobody_waited_for_does_not_hold(
    study_root: Path, log_of: Callable[[str], StudyLog]
) -> None:
    log = log_of(f"sqlite:///{study_root}/studies.db")
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as holder:
        held = {"token": "x", "beat": 3, "host": "here", "machine": leases.machine()}
        log.remember(LEASE, held | {"pid": holder.pid, "begun": leases._begun(holder.pid)})
        with pytest.raises(BusyError, match=f"process {holder.pid} on here"):
            Lease(log).take()
        holder.kill()
        wait_for(lambda: not is_running(holder.pid), "the holder's end")  # it is a zombie now
        lease = Lease(log)
        lease.take()
        lease.give_back()


# optuna-dashboard


@pytest.mark.parametrize("kind", ["journal", "postgresql"])
def test_the_printed_command_opens_the_study_in_the_dashboard(
    study_root: Path,
    kind: str,
    request: pytest.FixtureRequest,
    capsys: pytest.CaptureFixture[str],
) -> None:
    url = None
    if kind == "postgresql":
        url = request.getfixturevalue("postgres").new_database("dashboard")
    _print_study(run(study_root, trials=3, storage=url), study_root)
    printed = capsys.readouterr().out.splitlines()
    (command,) = [line.split(maxsplit=1)[1] for line in printed if line.startswith("Dashboard")]
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    before, program, after = command.partition("optuna-dashboard ")
    board = subprocess.Popen(
        ["sh", "-c", f"{before}exec {program}{after} --host 127.0.0.1 --port {port}"],
        cwd=study_root, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        env=os.environ | {"PATH": programs},
    )  # fmt: skip
    try:
        found = _studies(port, board)
    finally:
        board.kill()
        board.wait()
    assert [study["study_name"] for study in found] == ["small"]
    assert found[0]["directions"] == ["maximize", "minimize"]


def _studies(port: int, board: subprocess.Popen[bytes]) -> list[dict[str, Any]]:
    deadline = time.monotonic() + 90
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/studies") as answer:
                found: list[dict[str, Any]] = json.load(answer)["study_summaries"]
                return found
        except OSError:
            assert board.poll() is None, "the dashboard ended"
            assert time.monotonic() < deadline
            time.sleep(0.1)
