"""What ``model`` may name."""

from __future__ import annotations

from pathlib import Path

import pytest

from seglock.client.targets import local_path, open_target
from seglock.errors import ModelError
from seglock.tracking.registry import Registry
from tests.serving.tiny import describe, tiny_package


def test_a_registered_version_is_fetched_from_the_projects_registry(tmp_path, monkeypatch) -> None:
    package = tiny_package(tmp_path / "package")
    asked: list[str] = []

    def fetch(self: Registry, address: str) -> Path:
        asked.append(address)
        return package

    monkeypatch.setattr(Registry, "fetch", fetch)
    monkeypatch.chdir(tmp_path)
    assert open_target("models:/seglock-np-2@champion").description == describe().model_copy(
        update={"key": open_target(package).description.key}
    )
    assert local_path("models:/seglock-np-2/1") == package
    assert asked == ["models:/seglock-np-2@champion", "models:/seglock-np-2/1"]


def test_a_retired_version_is_the_registrys_message(tmp_path, monkeypatch) -> None:
    def fetch(self: Registry, address: str) -> Path:
        raise ModelError(f"{address} must be in use", got="a retired version: its key leaked")

    monkeypatch.setattr(Registry, "fetch", fetch)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelError, match="got a retired version: its key leaked"):
        open_target("models:/seglock-np-2/1")
