"""One shrunk project for a whole scenario, and a ``seglock`` that starts at once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.forks import forked_seglock
from tests.e2e.project import Project, make_project, shrink


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """One shrunk project for a whole scenario."""
    made = make_project(tmp_path_factory.mktemp("project"), tmp_path_factory.mktemp("keys"))
    made.change(shrink)
    made.commit("shrink")
    return made


@pytest.fixture(scope="session")
def forks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a ``seglock`` whose processes are forks of one that has imported all."""
    with forked_seglock(tmp_path_factory.mktemp("forks")) as programs:
        yield programs
