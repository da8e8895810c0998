"""One shrunk project for a whole scenario."""

from __future__ import annotations

import pytest

from tests.e2e.project import Project, make_project, shrink


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """One shrunk project for a whole scenario."""
    made = make_project(tmp_path_factory.mktemp("project"), tmp_path_factory.mktemp("keys"))
    made.change(shrink)
    made.commit("shrink")
    return made
