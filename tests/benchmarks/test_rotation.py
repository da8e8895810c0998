from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.rotation import SHARES, main


def test_a_quick_run_has_the_owner_and_the_old_key_of_each_share(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    command = ["--quick", "--out", str(tmp_path), "--folder", str(tmp_path / "work")]
    main(command)
    (path,) = tmp_path.glob("rotation-*.json")
    rows = json.loads(path.read_text())["rows"]
    whole, *others = rows
    assert len(others) == 2 * len(SHARES)
    for owner, old in zip(others[::2], others[1::2], strict=True):
        assert owner["ratio"] == pytest.approx(owner["value"] / whole["value"])
        assert old["reference"] == "the best of 3 other wrong keys"
    trained = {p: p.stat().st_mtime_ns for p in (tmp_path / "work").rglob("*.safetensors")}
    main(command)  # goes on: nothing is trained again
    assert {p: p.stat().st_mtime_ns for p in trained} == trained
    assert json.loads(path.read_text())["rows"] == rows
