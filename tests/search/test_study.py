"""Results on their way: whole, of this study only, and with room kept for them."""

from __future__ import annotations

from pathlib import Path
from typing import IO

import pytest

from seglock import files
from seglock.errors import StorageError
from seglock.search.executor import TrialJob
from seglock.search.study import Kept, Results
from tests.search.small_study import result_of


def kept(job: str = "trial-3-1") -> Kept:
    stopped = {"rule": "behind", "epoch": 2, "reason": "so far"}
    return Kept(job, result_of(TrialJob(job, ("np-4",), {}, "", ""), [0.1, 0.3]), stopped, "run")


def test_a_result_comes_back_as_it_was_until_it_is_dropped(tmp_path: Path) -> None:
    results = Results(tmp_path / "results", "study")
    results.save(kept())
    assert Results(tmp_path / "results", "study").load() == {"trial-3-1": kept()}
    results.drop("trial-3-1")
    results.drop("trial-3-1")
    assert results.load() == {}


def test_results_of_another_study_and_half_written_ones_are_left_alone(tmp_path: Path) -> None:
    other = Results(tmp_path, "other")
    other.save(kept())
    (tmp_path / "trial-4-1.json").write_text('{"study": "mine", "resu')
    (tmp_path / ".trial-5-1.json.1.x.tmp").write_text("half")
    mine = Results(tmp_path, "mine")
    assert mine.load() == {}
    assert not (tmp_path / ".trial-5-1.json.1.x.tmp").exists()
    assert list(other.load()) == ["trial-3-1"]


def test_the_reserve_makes_room_on_a_full_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = Results(tmp_path, "study")
    real = files.os.fsync

    def full_with_reserve(handle: int | IO[bytes]) -> None:
        if (tmp_path / ".reserve").exists():
            raise OSError(28, "No space left on device")
        real(handle)

    monkeypatch.setattr("seglock.files.os.fsync", full_with_reserve)
    results.save(kept())
    assert list(results.load()) == ["trial-3-1"]
    monkeypatch.setattr(
        "seglock.files.os.fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left"))
    )
    with pytest.raises(StorageError, match="no space left"):
        results.save(kept("trial-4-1"))
    assert list(results.load()) == ["trial-3-1"]
