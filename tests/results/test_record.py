"""A result is written and read by one class: what is read and written again is the same bytes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from seglock import files
from seglock.errors import ReportError
from seglock.results.attack import AttackResult
from seglock.results.evaluation import Evaluation
from seglock.results.record import Record
from seglock.results.training import Training
from tests.report.conftest import make_evaluation
from tests.report.suites import make_suite

TRAINING = {
    "lock": "np-4", "run_id": "a" * 32, "best_epoch": 11, "epochs": 12, "val_loss": 0.52,
    "val_miou": 0.61, "seconds": 14.2, "device": "cpu", "parameters": 60_000,
    "weights_sha256": "e" * 64, "key_id": "0123456789abcdef", "resumed_from": None,
    "rotated_from": None,
}  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (Evaluation, make_evaluation("baseline", [])),
        (Evaluation, make_evaluation("np-4_shf-4", ["np-4", "shf-4"])),
        (Training, TRAINING),
        *((AttackResult, values) for values in make_suite(["np-4"])),
    ],
)
def test_what_is_read_and_written_again_is_the_same_bytes(
    tmp_path: Path, kind: type[Record], values: dict[str, Any]
) -> None:
    before, after = tmp_path / "before.json", tmp_path / "after.json"
    files.write_json(before, values)
    kind.read(before).write(after)
    assert after.read_bytes() == before.read_bytes()


def test_what_later_versions_add_is_left_alone() -> None:
    assert Training.check(TRAINING | {"new": 1}).document() == TRAINING


def test_a_file_that_does_not_fit_is_one_message(tmp_path: Path) -> None:
    path = tmp_path / "training.json"
    path.write_text(json.dumps(TRAINING | {"epochs": "many", "best_epoch": None, "run_id": "../x"}))
    with pytest.raises(ReportError) as caught:
        Training.read(path, fix="run dvc repro train@np-4")
    told = str(caught.value)
    assert told.startswith(f"{path} must be whole, got ")
    assert all(name in told for name in ("epochs: ", "best_epoch: ", "run_id: must be a run's id"))
    assert told.endswith("run dvc repro train@np-4")
