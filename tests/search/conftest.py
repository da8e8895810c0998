"""What tests of the search share: a small project to run studies in, a database for them."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import pytest

from seglock.search import interrupts
from tests.postgres import _server, postgres  # noqa: F401 - fixtures
from tests.search.project import make_root
from tests.search.small_study import AWAY, not_judged, without_waiting_for_the_disk


@pytest.fixture(scope="session", autouse=True)
def _fast_sqlite() -> None:
    without_waiting_for_the_disk()


@pytest.fixture(scope="session")
def _small_project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("small")
    make_root(root)
    return root


@pytest.fixture
def study_root(_small_project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of its own to run small studies in; no tracking server answers there, and which
    parameters matter is not judged (that is test_importance's)."""
    root = tmp_path / "project"
    shutil.copytree(_small_project, root)
    monkeypatch.chdir(root)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", AWAY)
    monkeypatch.setattr("seglock.search.outcome.importances", not_judged)
    return root


@pytest.fixture
def interrupted(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Ctrl-C comes, once, when something first waits; how long each wait would have been."""
    waits: list[float] = []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 1:
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(interrupts.time, "sleep", sleep)
    return waits
