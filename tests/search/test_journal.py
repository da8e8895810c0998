"""A write that the disk refuses leaves the journal as it was."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import optuna
import pytest

from seglock.errors import StorageError
from seglock.search.journal import open_journal, read_journal


def test_a_refused_line_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "journal.log"
    study = optuna.create_study(storage=open_journal(file), study_name="small")
    before = file.read_bytes()

    def full(_: Any) -> None:
        raise OSError(28, "No space left on device")

    real = os.fsync
    monkeypatch.setattr("seglock.search.journal.os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        study.set_user_attr("a", 1)
    assert file.read_bytes() == before
    monkeypatch.setattr("seglock.search.journal.os.fsync", real)
    study.set_user_attr("b", 2)
    found = optuna.load_study(storage=open_journal(file), study_name="small")
    assert found.user_attrs == {"b": 2}


@pytest.mark.parametrize("content", ["a token without a line's end", None])
def test_a_link_is_neither_cut_nor_written_to(tmp_path: Path, content: str | None) -> None:
    other, file = tmp_path / "other", tmp_path / "study" / "journal.log"
    file.parent.mkdir()
    file.symlink_to(other)
    if content is not None:
        other.write_text(content)
    for attempt in (open_journal, read_journal):
        with pytest.raises(StorageError, match=r"journal\.log must be a file, got a link"):
            attempt(file)
    assert (other.read_text() if other.exists() else None) == content
