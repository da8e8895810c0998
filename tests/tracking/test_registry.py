"""Versions of a packaged model in a real store: addresses, aliases, and their end."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from seglock.address import tracking_uri
from seglock.audit.sources import mlflow_folders, mlflow_pieces
from seglock.config import TrackingParams
from seglock.errors import ModelError
from seglock.tracking import open_run
from seglock.tracking.registry import EXPIRES, Registry, Version, check_open, parse_address
from tests.tracking.aliases import current

TAGS = {"seglock.lock": "np-2"}


def test_what_a_logged_model_holds_is_what_the_audit_reads(tmp_path: Path) -> None:
    package = tmp_path / "package"
    package.mkdir()
    (package / "notes.bin").write_bytes(b"planted in a logged model")
    params = TrackingParams(timeout_seconds=60.0)
    with open_run(params, name="np-2", tags={}, root=tmp_path) as tracker:
        run_id = tracker.run_id
    registry = Registry(tmp_path, params)
    registry.register(package, "seglock-np-2", run_id=run_id, description="why", tags=TAGS)
    folders, elsewhere = mlflow_folders(tmp_path, tracking_uri(tmp_path))
    pieces = dict(mlflow_pieces(tmp_path, folders, None))
    (where,) = [name for name, held in pieces.items() if b"planted in a logged model" in held]
    assert re.fullmatch(r"mlruns/.*models/m-[0-9a-f]*/artifacts/notes.bin", where)
    assert elsewhere == []


def test_a_version_is_fetched_until_it_is_retired(tmp_path: Path) -> None:
    package = tmp_path / "package"
    (package / "artifacts").mkdir(parents=True)
    (package / "artifacts" / "description.json").write_text("{}")
    params = TrackingParams(timeout_seconds=60.0)
    with open_run(params, name="np-2", tags={}, root=tmp_path) as tracker:
        run_id = tracker.run_id
    registry = Registry(tmp_path, params)
    assert current(registry, "seglock-np-2", "champion") is None
    first, second = (
        registry.register(package, "seglock-np-2", run_id=run_id, description="why", tags=TAGS)
        for _ in range(2)
    )
    assert (first.address, second.number) == ("models:/seglock-np-2/1", "2")
    registry.point("champion", first)
    assert current(registry, "seglock-np-2", "champion") == first
    folder = registry.fetch("models:/seglock-np-2@champion")
    assert (folder / "artifacts" / "description.json").read_text() == "{}"
    registry.retire(first, "its key was replaced")
    assert current(registry, "seglock-np-2", "champion") is None
    assert registry.versions("seglock-np-2") == (second,)
    with pytest.raises(ModelError, match="its key was replaced; ask its owner for the one"):
        registry.fetch(first.address)
    registry.register(package, "seglock-np-2", run_id=run_id, description="why", tags=TAGS)
    with pytest.raises(ModelError, match="a retired version: its key was replaced; use version 3"):
        registry.fetch(first.address)
    for gone in ("models:/seglock-np-2@champion", "models:/seglock-np-2/7", "models:/other/1"):
        with pytest.raises(ModelError, match="must be in the registry"):
            registry.fetch(gone)
    assert not (tmp_path / "mlflow.db").exists()


@pytest.mark.parametrize(
    "address", ["np-2", "models:/", "models:/np-2", "models:/np-2/", "models:/np-2@", "models:/a/x"]
)
def test_another_address_is_one_message(address: str) -> None:
    with pytest.raises(ModelError, match="must be models:/NAME@ALIAS or models:/NAME/VERSION"):
        parse_address(address)


def test_a_version_expires() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    check_open("models:/np-2/1", {EXPIRES: (now + timedelta(seconds=1)).isoformat()}, now)
    for until in (now.isoformat(), "soon", "2027-01-01"):
        with pytest.raises(ModelError, match=r"a version with seglock\.expires="):
            check_open("models:/np-2/1", {EXPIRES: until}, now)
    assert Version("np-2", "1").address == "models:/np-2/1"
