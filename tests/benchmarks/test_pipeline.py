"""The pipeline's benchmark runs, tiny, and its figures say what they are compared with."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks.pipeline import bounded_rows, main
from benchmarks.pipeline_commands import HEAVY, LIGHT, make, pipeline_rows, start_rows


def test_quick_figures_are_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["pipeline.py", "--quick"])
    document = json.loads(main(["--quick", "--out", str(tmp_path)]).read_text())
    rows = {row["name"]: row for row in document["rows"]}
    assert document["command"] == "python -m benchmarks.pipeline --quick"
    for stage in ("prepare", "encrypt", "train", "evaluate"):
        assert rows[f"{stage}, 2x the images"]["ratio"] > 0
        assert any(name.startswith(f"private memory to {stage} ") for name in rows)
    assert rows["evaluate, 2x the wrong keys"]["reference"] == "2 times 1 keys"
    huge = next(row for name, row in rows.items() if "times the machine's memory" in name)
    assert 0 <= huge["value"] < 100  # it may need no more than the process had already
    assert huge["ratio"] > 50
    assert all(row["value"] > 0 for row in rows.values() if row is not huge)


def test_a_stage_that_needs_more_than_the_limit_ends_the_benchmark(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="exited 1"):
        bounded_rows(tmp_path, images=64, limit=1)


def test_commands_start_in_a_project_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = make(tmp_path)
    assert project.environment["SEGLOCK_KEY_DIR"] == str(tmp_path / "keys")
    del project.environment["PYTHONPYCACHEPREFIX"]  # to compile torch again takes long
    some = {name: LIGHT[name] for name in ("seglock --version", "seglock key list")}
    monkeypatch.setattr("benchmarks.pipeline_commands.LIGHT", some)
    rows = start_rows(project, 1, {})
    assert [row.name for row in rows][2:] == list(some)
    assert all(row.ratio and row.share_of_limit for row in rows[2:])
    assert not set(HEAVY) & {row.name for row in rows}


class Pretended:
    """A project whose every command succeeds at once, and says that it ran some stages."""

    def __init__(self, ran: list[str]) -> None:
        self.ran = ran
        self.locks: list[str] = []

    def run(self, *command: str) -> str:
        return " ".join(command)

    def repro(self) -> list[str]:
        return self.ran

    def change(self, edit: Callable[[dict[str, Any]], None]) -> None:
        values: dict[str, Any] = {}
        edit(values)
        self.locks = list(values["locks"])


def test_each_added_lock_is_counted_and_must_have_been_trained() -> None:
    project = Pretended(["train@baseline", "train@np-4", "train@shf-4", "train@ffx-4"])
    rows = {row.name: row for row in pipeline_rows(project, (1, 2, 4), 1)}  # type: ignore[arg-type]
    assert project.locks == ["baseline", "np-4", "shf-4", "ffx-4"]
    assert rows["dvc repro, each added lock, 2 in all"].ratio == 1
    assert rows["dvc repro, each added lock, 4 in all"].ratio is not None
    assert rows["dvc repro with nothing to do, 4 locks"].share_of_limit is not None
    with pytest.raises(SystemExit, match="did not run train@np-4"):
        pipeline_rows(Pretended(["train@baseline"]), (1, 2), 1)  # type: ignore[arg-type]
