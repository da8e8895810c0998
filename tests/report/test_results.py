"""Result files are read whole, or refused with the stage to run."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seglock.errors import ReportError
from seglock.report import read_results

LOCKS = {"baseline": (), "shf-4": ("shf-4",)}
Make = Callable[..., Path]


@pytest.fixture
def root(make_project: Make) -> Path:
    return make_project(LOCKS)


def edit(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    values = json.loads(path.read_text())
    change(values)
    path.write_text(json.dumps(values))


def test_reads_what_the_stages_wrote(root: Path) -> None:
    baseline, shf = read_results(root, LOCKS)
    assert (baseline.lock, shf.lock) == ("baseline", "shf-4")
    assert baseline.evaluation.scores.correct is None
    assert baseline.pictures.correct is None
    assert shf.evaluation.scores.owner is shf.evaluation.scores.correct
    assert shf.pictures.images.shape == (2, 3, 32, 32)
    assert [line.epoch for line in shf.history] == list(range(1, 13))
    assert shf.picture_score(0).incorrect == 0.0912


@pytest.mark.parametrize(
    ("path", "stage"),
    [
        ("evaluations/shf-4/evaluation.json", "evaluate@shf-4"),
        ("evaluations/shf-4/pictures.npz", "evaluate@shf-4"),
        ("models/shf-4/training.json", "train@shf-4"),
        ("models/shf-4/history.csv", "train@shf-4"),
    ],
)
@pytest.mark.parametrize("damage", ["missing", "cut", "empty", "binary"])
def test_a_missing_or_damaged_file_names_its_stage(
    root: Path, path: str, stage: str, damage: str
) -> None:
    target = root / "data" / path
    content = target.read_bytes()
    if damage == "missing":
        target.unlink()
    else:
        # A CSV cut at a line's end cannot be told from a short run, so it is cut within a number.
        cut = content[: len(content) // 2].rpartition(b",")[0] or content[: len(content) // 2]
        target.write_bytes({"cut": cut, "empty": b"", "binary": b"\xff\xfe\x00\x80" * 9}[damage])
    with pytest.raises(ReportError) as caught:
        read_results(root, LOCKS)
    assert target.name in str(caught.value)
    assert f"run dvc repro {stage}" in str(caught.value)


@pytest.mark.parametrize(
    "change",
    [
        lambda v: v.pop("scores"),
        lambda v: v["scores"].pop("floors"),
        lambda v: v["scores"].update(owner_miou="high"),
        lambda v: v["scores"]["plain"].update(miou=float("nan")),
        lambda v: v.update(classes=None),
    ],
)
def test_a_field_that_is_missing_or_wrong_is_refused(
    root: Path, change: Callable[[dict[str, Any]], object]
) -> None:
    edit(root / "data/evaluations/shf-4/evaluation.json", change)
    with pytest.raises(ReportError, match=r"must be (whole|readable JSON).*evaluate@shf-4"):
        read_results(root, LOCKS)


def test_results_of_other_steps_are_refused(root: Path) -> None:
    with pytest.raises(ReportError, match=r"steps \[shf-8\], got .*\[shf-4\].*evaluate@shf-4"):
        read_results(root, LOCKS | {"shf-4": ("shf-8",)})


@pytest.mark.parametrize("field", ["dataset", "dataset_digest", "image_side", "classes"])
def test_locks_evaluated_on_other_data_do_not_share_a_report(root: Path, field: str) -> None:
    other: dict[str, Any] = {"image_side": 8, "classes": list("abcdefg")}
    path = root / "data/evaluations/shf-4/evaluation.json"
    edit(path, lambda v: v.update({field: other.get(field, "other")}))
    with pytest.raises(ReportError, match=f"{field} of shf-4 differs from that of baseline"):
        read_results(root, LOCKS)


@pytest.mark.parametrize(
    "change",
    [
        {"images": np.zeros((2, 32, 32, 3), np.uint8)},
        {"images": np.zeros((2, 3, 32, 32), np.float32)},
        {"target": np.zeros((2, 16, 16), np.uint8)},
        {"correct": np.zeros((1, 32, 32), np.uint8)},
        {"ids": np.array(["only one"])},
        {"incorrect": np.full((2, 32, 32), 7, np.uint8)},
    ],
)
def test_pictures_that_do_not_fit_together_are_refused(
    root: Path, change: dict[str, np.ndarray]
) -> None:
    path = root / "data/evaluations/shf-4/pictures.npz"
    with np.load(path) as stored:
        arrays = dict(stored) | change
    np.savez(path, **arrays)
    with pytest.raises(ReportError, match=r"pictures\.npz must be whole"):
        read_results(root, LOCKS)


def test_pickled_pictures_are_never_loaded(root: Path) -> None:
    path = root / "data/evaluations/shf-4/pictures.npz"
    np.savez(path, ids=np.array([{"a": 1}], dtype=object))
    with pytest.raises(ReportError, match=r"pictures\.npz must be whole"):
        read_results(root, LOCKS)


def test_pictures_that_unpack_to_far_more_are_refused(root: Path, monkeypatch) -> None:
    monkeypatch.setattr("seglock.results.pictures._MOST_BYTES", 1 << 20)
    path = root / "data/evaluations/shf-4/pictures.npz"
    np.savez_compressed(path, images=np.zeros(2 << 20, np.uint8))
    with pytest.raises(ReportError, match=r"more than 1048576 bytes of pictures"):
        read_results(root, LOCKS)


@pytest.mark.parametrize("part", ["evaluations/shf-4/evaluation", "models/shf-4/training"])
def test_a_run_id_that_is_none_never_becomes_an_address(root: Path, part: str) -> None:
    edit(root / f"data/{part}.json", lambda values: values.update(run_id="../../x"))
    with pytest.raises(ReportError, match=r"run_id: .*must be a run's id"):
        read_results(root, LOCKS)


@pytest.mark.parametrize("file", ["evaluations/shf-4/pictures.npz", "models/shf-4/history.csv"])
@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_a_result_that_has_no_end_is_not_waited_for(root: Path, file: str, kind: str) -> None:
    path = root / "data" / file
    path.unlink()
    if kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero")
    with pytest.raises(ReportError, match=path.name):
        read_results(root, LOCKS)
