"""A key store of its own for each test, and no key left over from another one's environment."""

from __future__ import annotations

from pathlib import Path

import pytest

from seglock.keys import KeyStore, environment


@pytest.fixture(autouse=True)
def _no_key_taken_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "_taken", {})


@pytest.fixture
def store(tmp_path: Path) -> KeyStore:
    return KeyStore(tmp_path / "store")
