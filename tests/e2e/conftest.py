"""One shrunk project for a whole scenario, and a ``seglock`` that starts at once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.e2e.forks import forked_programs
from tests.e2e.project import Project, make_project, shrink
from tests.postgres import _server, postgres  # noqa: F401 - fixtures


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """One shrunk project for a whole scenario."""
    made = make_project(tmp_path_factory.mktemp("project"), tmp_path_factory.mktemp("keys"))
    made.change(shrink)
    made.commit("shrink")
    return made


@pytest.fixture(scope="session")
def forks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with programs whose processes are forks of one that has imported all; the processes
    of a test run share it."""
    base, alone = tmp_path_factory.getbasetemp(), "PYTEST_XDIST_WORKER" not in os.environ
    if alone:
        return forked_programs(base / "forks", os.getpid())
    return forked_programs(base.parent / "forks", os.getppid())
