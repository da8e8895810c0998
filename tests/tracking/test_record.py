"""A run's record: one file, as it was written or refused; a lock says whose process lives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from seglock.errors import TrackingError
from seglock.tracking.limits import (
    NAME_LENGTH,
    finite,
    safe_name,
    shortened,
)
from seglock.tracking.record import RunRecord, hold, result_name

RUN = "0123456789abcdef" * 2
RECORD = RunRecord(
    run_id=RUN, name="np-4 · synthetic", experiment="seglock", started=1, tags={"lock": "np-4"},
    params={"train.lr": "0.2"}, datasets=[{"name": "voc"}],
    results={"data/models/np-4/training.json": ("training", "ab" * 32)},
)  # fmt: skip


def test_a_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    assert RunRecord.known(tmp_path, RUN) is None
    RECORD.save(tmp_path)
    ended = RECORD.changed(status="KILLED", store="http://x", store_run_id="f" * 32)
    ended.save(tmp_path)
    assert RunRecord.known(tmp_path, RUN) == ended
    assert RunRecord.find(tmp_path, "f" * 32) == RunRecord.find(tmp_path, RUN) == ended
    assert RunRecord.every(tmp_path) == [ended]


def test_a_second_holder_is_told_so(tmp_path: Path) -> None:
    RECORD.save(tmp_path)
    first = hold(tmp_path, RUN)
    assert first is not None
    assert hold(tmp_path, RUN) is None
    first.release()
    again = hold(tmp_path, RUN)
    assert again is not None
    again.release()


@pytest.mark.parametrize(
    "content", ["[]", "null", '{"a": 1}', "[" * 5000, '{"run_id": "x"}', "", "\xff"]
)
def test_what_is_no_record_is_refused_by_name_and_left_out_of_lists(
    tmp_path: Path, content: str
) -> None:
    RECORD.save(tmp_path)
    (file := tmp_path / ".seglock" / "runs" / f"{RUN}.json").write_text(content, "latin-1")
    with pytest.raises(TrackingError, match=rf"{RUN}\.json must be (whole|readable)"):
        RunRecord.known(tmp_path, RUN)
    assert RunRecord.every(tmp_path) == []
    assert file.exists()


def test_a_record_of_another_run_or_behind_a_link_is_refused(tmp_path: Path) -> None:
    RECORD.save(tmp_path)
    file = tmp_path / ".seglock" / "runs" / f"{RUN}.json"
    file.rename(other := file.with_stem("f" * 32))
    with pytest.raises(TrackingError, match="must be of that run"):
        RunRecord.known(tmp_path, other.stem)
    other.rename(tmp_path / "elsewhere.json")
    file.symlink_to(tmp_path / "elsewhere.json")
    with pytest.raises(TrackingError, match="a link that leads elsewhere"):
        RunRecord.known(tmp_path, RUN)


@pytest.mark.parametrize(
    "run_id",
    ["", ".", "..", "../../x", "/etc", "a" * 31, "A" * 32, "local-x", None, 5, "a" * 32 + "\n"],
)
def test_what_is_no_runs_id_is_no_path(tmp_path: Path, run_id: Any) -> None:
    """It may come from a training.json that somebody else wrote."""
    with pytest.raises(TrackingError, match="a run's id must be 32 hexadecimal digits"):
        RunRecord.known(tmp_path, run_id)
    assert RunRecord.known(tmp_path, f"local-{'a' * 16}") is None


def test_results_are_the_files_in_the_projects_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = tmp_path / "tmp" / "experiment"
    copy.mkdir(parents=True)
    monkeypatch.chdir(copy)
    for root in (tmp_path, copy):
        assert result_name(root / "data" / "search" / "study.json", tmp_path) == (
            "data/search/study.json"
        )
    for other in (tmp_path / "params.yaml", Path("/tmp/figure.png"), copy.parent / "data" / "x"):
        assert result_name(other, tmp_path) is None


@given(st.text(max_size=600))
def test_any_name_becomes_one_that_mlflow_takes(name: str) -> None:
    safe = safe_name(name)
    assert 1 <= len(safe) <= NAME_LENGTH
    assert not safe.startswith("/")
    assert ".." not in safe.split("/")
    assert safe_name(safe) == safe


@given(st.lists(st.text(max_size=8), min_size=2, max_size=8, unique=True))
@example(["road/line", "road line", "road_line", "road-line", "road+line", "road(line"])
@example(["\u732b", "\u72ac", "+", "-", "c", "c++", "a/../b", "a/b", "a//b", "/a", "a"])
def test_names_never_share_a_metric(names: list[str]) -> None:
    assert len({safe_name(f"plain/iou/{name}") for name in names}) == len(names)


def test_long_names_stay_apart() -> None:
    assert safe_name("n" * 300 + "a") != safe_name("n" * 300 + "b")


@given(st.floats())
def test_a_store_gets_no_infinity(value: float) -> None:
    kept = finite(value)
    assert kept == value or kept != kept


def test_a_shortened_value_fits_and_says_where_the_whole_is() -> None:
    assert shortened("short", 10, "x") == "short"
    cut = shortened("y" * 100, 50, "file.txt")
    assert len(cut) == 50
    assert cut.endswith("(whole: file.txt)")
