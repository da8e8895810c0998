from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from benchmarks.results import Row
from benchmarks.transforms import (
    CPU_AIMS,
    CUDA_AIMS,
    LIMIT,
    METHODS,
    REFERENCE,
    WORKS,
    aims,
    check,
    main,
)


def test_the_quick_run_measures_every_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["--quick", "--out", str(tmp_path)])

    [path] = tmp_path.glob("transforms-*.json")
    document = json.loads(path.read_text())
    rows = {row["name"]: row for row in document["rows"]}
    works = {f"{w} {m}-{b}" for w in WORKS for m in METHODS for b in (4, 256)}
    assert set(rows) == works | {"a copy into new memory"}
    for name in works:
        assert rows[name]["value"] > 0
        assert (rows[name]["reference"], rows[name]["limit"]) == (REFERENCE, LIMIT)
    assert "\n".join(document["settings"]["aims"]) in capsys.readouterr().out
    assert len(document["settings"]["aims"]) in (len(CPU_AIMS), len(CUDA_AIMS))


def test_works_that_differ_are_not_compared() -> None:
    images = torch.zeros(2, 3, 4, 4, dtype=torch.uint8)
    with pytest.raises(SystemExit, match=r"differ by 1\.0"):
        check(lambda x: x, lambda x: x.float() + 1, images)
    assert check(lambda x: x, lambda x: x.float(), images) == 2 * 48
    assert check(lambda x: x.bfloat16(), lambda x: x.float(), images) == 3 * 48


@pytest.mark.parametrize(("reached", "verdict"), [(0.8, "reached"), (0.7, "missed")])
def test_an_aim_is_about_the_worst_of_its_rows(reached: float, verdict: str) -> None:
    rows = [
        Row(f"to_input np-{block}", 1.0, "GB/s", "x", 30.0, "y", share)
        for block, share in ((2, 0.9), (4, reached))
    ]
    [line] = aims(rows, cuda=True)
    assert line == f"to_input of np: aim 0.75 of a copy, {verdict}: {reached:.2f} (to_input np-4)"
