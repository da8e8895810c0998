from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from seglock.cli.data import app
from seglock.data import check_dataset
from seglock.errors import DataError, SeglockError

PARAMS = """\
data:
  val_split: 2
  image_side: 16
  synthetic: {train: 8, test: 4, side: 32}
train: {batch_size: 6}
locks:
  baseline: {steps: []}
"""


@pytest.fixture(autouse=True)
def _project(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text(PARAMS)


def _run(*arguments: str) -> str:
    done = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert done.exit_code == 0
    return done.output


def test_get_prepare_check(tmp_path: Path) -> None:
    assert _run("get") == "dataset synthetic: data/raw\n"
    said, *notes = _run("prepare").splitlines()
    assert said == "train 6, val 2, test 4 images of 16x16, 7 classes"
    assert all(note.startswith("note: ") for note in notes)  # few images lack some class
    *notes, said = _run("check", "data/raw").splitlines()
    assert said == "data/raw: train 8, val 4 images, 7 classes; no problems"
    assert all(note.startswith("note: ") for note in notes)
    assert "train 8 images" in _run("check", "data/raw", "--split", "train")
    assert check_dataset(tmp_path / "data/raw").problems == []


def test_check_lists_every_problem(tmp_path: Path) -> None:
    _run("get")
    first, second, *_ = sorted((tmp_path / "data/raw/JPEGImages").iterdir())
    first.unlink()
    second.write_bytes(b"")
    with pytest.raises(DataError, match=r"got 2 problems:\nmissing image.*\n.*\nunreadable image"):
        _run("check", "data/raw")


@pytest.mark.parametrize("command", [["check", "nowhere"], ["prepare"]])
def test_faults_reach_the_top_as_they_are(command: list[str]) -> None:
    with pytest.raises(SeglockError):
        _run(*command)


def test_a_terminal_sees_progress(monkeypatch) -> None:
    import sys

    from seglock.cli.terminal import progress_bars

    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    with progress_bars() as progress:
        assert progress is not None
        progress("resizing", 1, 2)
        progress("resizing", 2, 2)
        progress("downloading", 5, None)
