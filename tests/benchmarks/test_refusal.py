from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.refusal import EVERY, main


def test_a_quick_run_writes_each_figure_beside_the_usual_one(tmp_path: Path) -> None:
    main(["--quick", "--out", str(tmp_path)])
    (path,) = tmp_path.glob("refusal-*.json")
    usual, *others = json.loads(path.read_text())["rows"]
    assert len(others) == len(EVERY)
    for row in others:
        assert row["ratio"] == pytest.approx(row["value"] / usual["value"])
