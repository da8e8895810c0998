"""The journal: whole lines, an offset, and copies of what is not sent yet."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from seglock.errors import TrackingError
from seglock.files import sha256_file
from seglock.tracking import Journal
from seglock.tracking.journal import Acknowledged, RunHeader
from seglock.tracking.limits import (
    NAME_LENGTH,
    number_to_json,
    number_to_store,
    safe_name,
    shortened,
)

HEADER = RunHeader("name", "seglock", {"lock": "np-4"}, 1)
RUN = "0123456789abcdef" * 2


def test_a_line_torn_by_a_kill_costs_that_entry_only(tmp_path: Path) -> None:
    journal = Journal.create(tmp_path, RUN, HEADER)
    journal.append("metrics", metrics={"a": 1}, step=0)
    with journal.file.open("ab") as file:
        file.write(b'{"kind": "metrics", "met')
    assert [entry["kind"] for entry, _ in journal.entries()] == ["metrics"]
    again = Journal.create(tmp_path, RUN, HEADER)
    again.append("tags", tags={})
    assert [entry["kind"] for entry, _ in again.entries()] == ["metrics", "tags"]


def test_entries_go_on_from_any_offset_they_gave(tmp_path: Path) -> None:
    journal = Journal.create(tmp_path, RUN, HEADER)
    ends = [journal.append("tags", tags={"n": str(n), "é": "ü"}) for n in range(5)]
    assert [end for _, end in journal.entries()] == ends
    for done, end in enumerate(ends, start=1):
        journal.acknowledged = Acknowledged("store", "run", end)
        assert journal.pending() == 5 - done


def test_taking_a_run_up_keeps_its_first_header(tmp_path: Path) -> None:
    Journal.create(tmp_path, RUN, HEADER)
    assert Journal.create(tmp_path, RUN, RunHeader("other", "x", {}, 2)).header == HEADER


def test_a_second_holder_is_told_so(tmp_path: Path) -> None:
    journal = Journal.create(tmp_path, RUN, HEADER)
    assert journal.hold()
    assert not Journal.at(tmp_path, RUN).hold()
    journal.let_go()
    assert Journal.at(tmp_path, RUN).hold()


def test_an_artifact_is_kept_as_it_was_or_not_at_all(tmp_path: Path) -> None:
    journal = Journal.create(tmp_path, RUN, HEADER)
    source = tmp_path / "figure.png"
    for content, kept in [(b"first", True), (b"changed", False)]:
        source.write_bytes(b"first")
        digest = sha256_file(source)
        source.write_bytes(content)
        name = f"{content.decode()}/figure.png"
        journal.append("artifact", file=name, source=str(source), sha256=digest)
        journal.keep_artifacts()
        assert journal.kept_copy(name).exists() == kept


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
def test_a_figure_survives_the_journal(value: float) -> None:
    kept = float(number_to_json(value))
    assert kept == value or (math.isnan(kept) and math.isnan(value))
    assert not math.isinf(number_to_store(number_to_json(value)))


def test_a_shortened_value_fits_and_says_where_the_whole_is() -> None:
    assert shortened("short", 10, "x") == "short"
    cut = shortened("y" * 100, 50, "file.txt")
    assert len(cut) == 50
    assert cut.endswith("(whole: file.txt)")


@pytest.mark.parametrize(
    "run_id",
    ["", ".", "..", "../../x", "/etc", "a" * 31, "A" * 32, "local-x", None, 5, "a" * 32 + "\n"],
)
def test_what_is_no_runs_id_is_no_path(tmp_path: Path, run_id: Any) -> None:
    """It may come from a training.json that somebody else wrote."""
    with pytest.raises(TrackingError, match="a run's id must be 32 hexadecimal digits"):
        Journal.at(tmp_path, run_id)
    assert Journal.at(tmp_path, f"local-{'a' * 16}").folder.parent == tmp_path / ".seglock" / "runs"


def test_a_line_nested_too_deep_is_skipped_like_a_torn_one(tmp_path: Path) -> None:
    journal = Journal.create(tmp_path, RUN, HEADER)
    journal.append("tags", tags={"a": "1"})
    with journal.file.open("ab") as file:
        file.write(b"[" * 100_000 + b"\n")
    journal.append("tags", tags={"b": "1"})
    assert [entry["tags"] for entry, _ in journal.entries()] == [{"a": "1"}, {"b": "1"}]


@pytest.mark.parametrize("way", ["absolute", "above", "by a link", "a link to nothing"])
def test_a_journal_of_others_puts_no_copy_outside_its_folder(tmp_path: Path, way: str) -> None:
    journal = Journal.create(tmp_path, RUN, HEADER)
    theirs, target = tmp_path / "theirs.txt", tmp_path / "home" / "new.txt"
    theirs.write_text("text of a stranger")
    target.parent.mkdir()
    copies = journal.folder / "artifacts"
    name = {"absolute": str(target), "above": "../../../../home/new.txt"}.get(way, "new.txt")
    if way == "by a link":
        copies.symlink_to(target.parent)
    elif way == "a link to nothing":
        copies.mkdir()
        (copies / name).symlink_to(target)
    about = {"source": str(theirs), "sha256": sha256_file(theirs)}
    journal.append("artifact", file=name, **about)
    with pytest.raises(TrackingError, match="must be kept in that folder"):
        journal.keep_artifacts()
    assert not target.exists()


def test_a_journal_that_is_a_link_is_not_written_through(tmp_path: Path) -> None:
    journal = Journal.create(tmp_path, RUN, HEADER)
    other = tmp_path / "other"
    other.write_text("text\n")
    journal.file.symlink_to(other)
    with pytest.raises(TrackingError, match=r"journal\.jsonl must be a file"):
        Journal.create(tmp_path, RUN, HEADER)
    assert other.read_text() == "text\n"


@pytest.mark.parametrize("content", ["[]", "null", '{"a": 1}', '{"offset": "x"}', "[" * 5000])
def test_what_a_journal_says_of_itself_is_as_it_was_written_or_refused(
    tmp_path: Path, content: str
) -> None:
    journal = Journal.create(tmp_path, RUN, HEADER)
    for name, read in (("run.json", lambda: journal.header), ("sent.json", journal.pending)):
        (journal.folder / name).write_text(content)
        with pytest.raises(TrackingError, match=name):
            read()


@given(st.dictionaries(st.sampled_from(["kind", "time", "file", "metrics", "step"]), st.just([])))
@example({"kind": "artifact", "time": 1, "file": "x"})
@example({"kind": "metrics", "time": 1, "metrics": [], "step": 0})
def test_lines_that_are_no_entries_are_skipped(tmp_path_factory, line: dict[str, Any]) -> None:
    journal = Journal.create(tmp_path_factory.mktemp("project"), RUN, HEADER)
    journal.file.write_text(f"{json.dumps(line)}\n[1]\nnull\n")
    journal.append("tags", tags={})
    assert [entry["kind"] for entry, _ in journal.entries()] == ["tags"]
