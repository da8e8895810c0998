from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from seglock.cli.data import app
from seglock.config import DataParams, LockParams, Params, SyntheticParams, TrainParams
from seglock.data import PreparedData, check_dataset
from seglock.errors import DataError, TrainingError
from seglock.stages import data
from seglock.stages.disk import training_images


@pytest.fixture
def params() -> Params:
    synthetic = SyntheticParams(train=8, test=4, side=32)
    return Params(
        data=DataParams(val_split=2, image_side=16, synthetic=synthetic),
        locks={"baseline": LockParams(steps=[])},
        train=TrainParams(batch_size=6),
    )


def test_get_then_prepare_under_the_root(params: Params, tmp_path: Path) -> None:
    assert data.get(params, tmp_path) == tmp_path / "data" / "raw"
    assert check_dataset(tmp_path / "data" / "raw").problems == []
    prepared = data.prepare(params, tmp_path)
    assert [len(s) for s in (prepared.train, prepared.val, prepared.test)] == [6, 2, 4]
    assert PreparedData.open(tmp_path / "data" / "prepared").digest == prepared.digest
    assert {path.name for path in (tmp_path / "data").iterdir()} == {"raw", "prepared"}


def test_prepare_without_get(params: Params, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="run `dvc repro prepare`"):
        data.prepare(params, tmp_path)


def test_too_few_images_for_a_batch_are_told_before_anything_is_made(
    params: Params, tmp_path: Path
) -> None:
    raw = data.get(params, tmp_path)
    recipe = {"train": TrainParams(batch_size=7)}
    short = params.model_copy(update=recipe)
    with pytest.raises(TrainingError, match=r"got 6 training images.*lower train.batch_size to 6"):
        data.prepare(short, tmp_path)
    assert not (tmp_path / "data/prepared").exists()
    assert any("train.batch_size=7" in note for note in data.check(raw, params=short).notes)
    assert not any("batch" in note for note in data.check(raw, params=params).notes)
    assert any("train 4 of 16" in note for note in data.check(raw).notes)  # for a new project
    doctor = [training_images(short.data, root) for root in (tmp_path, tmp_path / "nowhere")]
    assert doctor == [6, 6]
    own = short.data.model_copy(update={"dataset": "mine", "source": "nowhere"})
    assert training_images(own, tmp_path) == 6
    assert training_images(own, tmp_path / "nowhere") is None


def test_check_counts_and_finds(params: Params, tmp_path: Path) -> None:
    raw = data.get(params, tmp_path)
    result = data.check(raw)
    assert (len(result.classes), result.images, result.problems) == (7, {"train": 8, "val": 4}, [])
    (raw / "ImageSets/Segmentation/val.txt").unlink()
    (raw / "classes.txt").write_text("one\n")
    result = data.check(raw, splits=["train", "val"])
    assert (len(result.classes), result.images) == (0, {"train": 8, "val": 0})
    assert [problem.kind for problem in result.problems] == ["classes", "missing list"]


def run(*arguments: str) -> str:
    done = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def test_notes_are_shown_and_are_no_problem(params: Params, tmp_path: Path, monkeypatch) -> None:
    raw = data.get(params, tmp_path)
    (raw / "classes.txt").write_text("bg\n" + "\n".join(f"class {i}" for i in range(1, 8)) + "\n")
    output = run("check", str(raw))
    assert "note: train: no pixel of class 7\n" in output
    assert output.endswith("train 8, val 4 images, 8 classes; no problems\n")
    monkeypatch.chdir(tmp_path)
    chosen = params.model_copy(
        update={"data": params.data.model_copy(update={"classes": ["Class 1", "class 2"]})}
    )
    monkeypatch.setattr("seglock.config.load_params", lambda: chosen)
    assert "note: class 0, bg, is kept as the background\n" in run("prepare")
