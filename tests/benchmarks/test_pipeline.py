"""The pipeline's benchmark runs, tiny, and its figures say what they are compared with."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.pipeline import bounded_rows, main
from benchmarks.pipeline_commands import HEAVY, LIGHT, make, start_rows


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
    assert huge["value"] < 100
    assert huge["ratio"] > 50
    assert all(row["value"] > 0 for row in rows.values())


def test_a_stage_that_needs_more_than_the_limit_ends_the_benchmark(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="exited 1"):
        bounded_rows(tmp_path, images=64, limit=1)


def test_commands_start_in_a_project_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = make(tmp_path)
    assert project.environment["SEGLOCK_KEY_DIR"] == str(tmp_path / "keys")
    some = {name: LIGHT[name] for name in ("seglock --version", "seglock key list")}
    monkeypatch.setattr("benchmarks.pipeline_commands.LIGHT", some)
    rows = start_rows(project, 1, {})
    assert [row.name for row in rows][2:] == list(some)
    assert all(row.ratio and row.share_of_limit for row in rows[2:])
    assert not set(HEAVY) & {row.name for row in rows}
