"""Where a study is kept: waiting for a database, its own file."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError, ProgrammingError

from seglock.errors import ConfigError, SeglockError, StorageError
from seglock.search.coordinator import read_study
from seglock.search.database import open_database
from seglock.search.settings import study_folder
from seglock.search.storage import Patience, open_storage, open_to_read
from tests.search.small_study import run, study_params
from tests.search.test_kill import assert_whole

AWAY = OperationalError("select 1", None, Exception("connection refused"))


def test_what_a_database_says_is_told_as_params_yaml_has_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("STUDIES", "nosuch://me:hunter22@host/x")
    with pytest.raises(ConfigError, match=r"got \$STUDIES") as caught:
        open_database("$STUDIES")
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
    assert not (study_root / "studies.db").exists()
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
    with open_storage("sqlite:///studies.db", project, Patience(1.0)):
        pass
    assert (project / "studies.db").is_file()
    assert list(elsewhere.iterdir()) == []


def test_reading_makes_nothing(study_root: Path) -> None:
    outcome = read_study(study_params(2), study_root)
    assert (outcome.trials, outcome.baselines, outcome.run_id) == ((), (), None)
    assert outcome.storage.endswith("small/study.db")
    assert not (study_root / ".seglock").exists()


def test_a_study_of_someone_elses_is_not_taken(study_root: Path) -> None:
    import optuna

    url = f"sqlite:///{study_root}/studies.db"
    with open_storage(url, study_root, Patience(1.0)) as storage:
        optuna.create_study(storage=storage, study_name="small").ask()
    with pytest.raises(ConfigError, match="something else began"):
        run(study_root, trials=2, storage=url)


# The study's own file


def content(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


KILLED_WHILE_IT_WRITES = """
import os, sqlite3, sys
study = sqlite3.connect(sys.argv[1])
study.execute("PRAGMA cache_size = 1")
study.execute("UPDATE trials SET state = 'RUNNING'")
study.execute("UPDATE trial_user_attributes SET value_json = value_json || value_json")
os.kill(os.getpid(), 9)
"""


def test_what_a_killed_writer_left_half_done_is_undone_and_not_by_readers(study_root: Path) -> None:
    before = run(study_root, trials=3)
    folder = study_folder(study_root, "small")
    command = [sys.executable, "-c", KILLED_WHILE_IT_WRITES, str(folder / "study.db")]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    assert (folder / "study.db-journal").exists()
    left = content(folder)
    assert read_study(study_params(3), study_root).trials == before.trials
    assert content(folder) == left
    assert run(study_root, trials=4).trials[:3] == before.trials
    assert not (folder / "study.db-journal").exists()
    assert_whole(study_root, 4)


@pytest.mark.parametrize("name", ["study.db", "study.db-journal"])
@pytest.mark.parametrize("content", ["a token without a line's end", None])
def test_a_link_is_neither_read_nor_written_to(
    tmp_path: Path, name: str, content: str | None
) -> None:
    other, folder = tmp_path / "other", tmp_path / "study"
    folder.mkdir()
    (folder / name).symlink_to(other)
    if content is not None:
        other.write_text(content)
    for attempt in (open_storage, open_to_read):
        with (
            pytest.raises(StorageError, match=f"{name} must be a file, got a link"),
            attempt(None, folder, Patience(0.0)),
        ):
            pass
    assert (other.read_text() if other.exists() else None) == content
    assert [path.name for path in folder.iterdir()] == [name]


def test_reading_does_not_mind_a_journal_that_comes_and_goes(tmp_path: Path) -> None:
    journal, done = tmp_path / "study.db-journal", threading.Event()

    def write() -> None:
        while not done.is_set():
            journal.touch()
            journal.unlink()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(2_000):
            with open_to_read(None, tmp_path, Patience(0.0)) as storage:
                assert storage is None
    finally:
        done.set()
        writer.join()


def test_a_file_that_is_no_database_is_one_message(tmp_path: Path) -> None:
    (tmp_path / "study.db").write_text("no database at all" * 99)
    for attempt in (open_storage, open_to_read):
        with (
            pytest.raises(StorageError, match="as it was written, got file is not a database"),
            attempt(None, tmp_path, Patience(0.0)),
        ):
            pass


def test_a_dashboard_shows_named_objectives_and_few_flat_figures(study_root: Path) -> None:
    import optuna

    run(study_root, trials=2)
    file = study_folder(study_root, "small") / "study.db"
    study = optuna.load_study(study_name="small", storage=f"sqlite:///{file}")
    assert study.metric_names == ["owner", "unauthorised"]
    assert study.user_attrs == {}
    for trial in study.trials:
        assert set(trial.user_attrs) <= {
            "lock", "drop", "regained", "strongest", "key_space_bits", "seconds"
        }  # fmt: skip
        assert not [v for v in trial.user_attrs.values() if isinstance(v, dict | list)]
