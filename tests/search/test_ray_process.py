from __future__ import annotations

import os
from pathlib import Path

import pytest

from seglock.search.ray_process import RayProcess


def test_the_driver_gets_no_key_and_nothing_of_the_studys_database(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SEGLOCK_KEY_OTHER", "0" * 64)
    monkeypatch.setenv("STUDY_SECRET", "correct horse")
    process = RayProcess("postgresql://ann:$STUDY_SECRET@db/studies")
    try:
        given = Path(f"/proc/{process.pid}/environ").read_bytes()
    finally:
        process.end()
    assert f"PATH={os.environ['PATH']}".encode() in given
    assert b"SEGLOCK_KEY_OTHER" not in given
    assert b"STUDY_SECRET" not in given
