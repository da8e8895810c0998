"""Where runs go: the project's own store, whatever its folder is called and wherever one starts."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.engine import make_url

from seglock.address import (
    project_root,
    reason_unreachable,
    rooted,
    shown_uri,
    sqlite_file,
    sqlite_uri,
    tracking_uri,
)
from seglock.config import TrackingParams
from seglock.errors import TrackingError
from seglock.tracking import open_run

NAMES = st.text(
    st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1
).filter(lambda name: name not in (".", ".."))


def test_the_project_is_dvcs_root_inside_an_experiment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert project_root() == tmp_path
    monkeypatch.setenv("DVC_ROOT", "/somewhere/else")
    assert project_root() == Path("/somewhere/else")


def test_the_store_is_the_projects_own_unless_the_environment_names_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert tracking_uri(tmp_path) == f"sqlite:///{tmp_path}/mlruns/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://tracking.example.org")
    assert tracking_uri(tmp_path) == "http://tracking.example.org"


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("http://127.0.0.1:5000", "http://127.0.0.1:5000"),
        ("https://ann:p@ss@example.org/x?y", "https://example.org/x?y"),
        ("postgresql://ann:secret@db:5432/runs", "postgresql://db:5432/runs"),
        ("sqlite:////home/ann@work/mlflow.db", "sqlite:////home/ann@work/mlflow.db"),
    ],
)
def test_credentials_are_never_shown(uri: str, shown: str) -> None:
    assert shown_uri(uri) == shown


@given(NAMES)
def test_an_address_means_the_file_it_was_made_of(name: str) -> None:
    file = Path("/home/ann") / name / "mlflow.db"
    uri = sqlite_uri(file)
    assert sqlite_file(uri) == file
    assert make_url(uri).database == str(file)
    assert rooted(uri, Path("/elsewhere")) == uri


@given(NAMES, NAMES)
def test_a_relative_file_is_the_projects(project: str, name: str) -> None:
    root = Path("/home/ann") / project
    assert sqlite_file(rooted(sqlite_uri(f"runs/{name}.db"), root)) == root / f"runs/{name}.db"


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("sqlite:///runs/x.db", "sqlite:////p%25/runs/x.db"),
        ("sqlite+pysqlite:///x.db?timeout=3", "sqlite+pysqlite:////p%25/x.db?timeout=3"),
        ("sqlite:////abs/x%20y.db", "sqlite:////abs/x y.db"),
        ("./mlruns", "file:///p%25/mlruns"),
        ("file:mlruns", "file:///p%25/mlruns"),
        ("file:///abs/a%20b", "file:///abs/a%20b"),
        ("http://127.0.0.1:5000/x", "http://127.0.0.1:5000/x"),
        ("postgresql://ann@db/runs", "postgresql://ann@db/runs"),
        ("databricks", "databricks"),
        ("databricks://profile", "databricks://profile"),
    ],
)
def test_what_the_environment_names_is_taken_from_the_project(
    uri: str, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    assert tracking_uri(Path("/p%")) == expected


@pytest.mark.parametrize(
    "uri", ["sqlite://", "sqlite:///:memory:", "sqlite:///file::memory:?uri=1"]
)
def test_a_store_in_memory_is_refused(uri: str) -> None:
    assert "memory" in str(reason_unreachable(uri, 1))


def test_what_mlflow_says_of_an_address_is_shown_with_its_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_ALLOW_FILE_STORE", raising=False)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "./mlruns")
    with pytest.raises(TrackingError) as caught:
        open_run(TrackingParams(), name="x", tags={}, root=tmp_path)
    text = str(caught.value)
    assert "MLflow must take the address of the tracking store, got file:///" in text
    assert "MLFLOW_ALLOW_FILE_STORE=true" in text  # the last words of a long message
    assert text.endswith("unset MLFLOW_TRACKING_URI to keep runs in mlruns/mlflow.db")
