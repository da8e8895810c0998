"""A study's database: its URL, its password, its driver, and what a dashboard sees of it."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from seglock.cli.search import _print_study
from seglock.errors import ConfigError, KeyRefusedError
from seglock.search.coordinator import read_study
from seglock.search.database import expand_url, open_database
from seglock.search.storage import Patience, open_storage, open_to_read
from tests.postgres import PASSWORD, Postgres
from tests.search.small_study import run, study_params


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


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("nonsense", "must be the URL of a PostgreSQL or SQLite database"),
        ("nosuch://me@host/studies", "must be the URL of a PostgreSQL or SQLite database"),
        ("postgresql://me@host:port/studies", "must be the URL of a PostgreSQL or SQLite"),
        ("postgresql+nosuch://me:secret@host/studies", "must be the URL of a PostgreSQL or SQLite"),
        ("mysql://me:secret@host/studies", "must be the URL of a PostgreSQL or SQLite database"),
        ("sqlite://", "must be the URL of a PostgreSQL or SQLite database"),
    ],
)
def test_a_url_that_cannot_work_is_one_message(tmp_path: Path, url: str, says: str) -> None:
    patience = Patience(1.0)
    for attempt in (open_storage, open_to_read):
        with pytest.raises(ConfigError) as refused, attempt(url, tmp_path, patience):
            pass
        assert says in str(refused.value)
        assert "secret" not in str(refused.value)
        assert "\n" not in str(refused.value)


def test_without_a_driver_the_message_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"pip install 'seglock\[postgres\]'"):
        open_database("postgresql://me@host/studies")


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


# optuna-dashboard


@pytest.mark.parametrize("kind", ["file", "postgresql"])
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
