"""Indices of true masks are the model's classes, by the names beside them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from seglock.errors import DataError
from seglock.files import read_json
from seglock.stages.scores import MaskScores

NAMES = ("background", "dog")


def write_mask(path: Path, mask: list[list[int]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.array(mask, np.uint8)).save(path)


def test_classes_are_matched_by_name_where_names_are_beside_the_folder(tmp_path: Path) -> None:
    write_mask(tmp_path / "masks/a.png", [[0, 1], [2, 255]])
    predicted = np.array([[0, 1], [1, 0]], np.uint8)
    (tmp_path / "classes.txt").write_text("background\ncat\ndog\n")
    scores = MaskScores(tmp_path / "masks", NAMES)
    scores.add("a", predicted)  # the cat is none of the model's: void
    assert scores.write(tmp_path / "out")[0] == "mean IoU 1.0000 of 1 photos"
    assert (
        tmp_path / "out/confusion.csv"
    ).read_text() == "true class,background,dog\nbackground,1,0\ndog,0,1\n"
    (tmp_path / "classes.txt").unlink()
    with pytest.raises(
        DataError, match=r"a\.png: target must be a class from 0 to 1 or 255, got 2"
    ):
        MaskScores(tmp_path / "masks", NAMES).add("a", predicted)
    (tmp_path / "classes.txt").write_text("dog\nbackground\n")
    with pytest.raises(DataError, match="of the model's classes, in its order"):
        MaskScores(tmp_path / "masks", NAMES)


def test_scores_by_hand(tmp_path: Path) -> None:
    write_mask(tmp_path / "a.png", [[0, 0, 0, 1]])
    write_mask(tmp_path / "b.png", [[1, 0]])
    scores = MaskScores(tmp_path, NAMES)
    scores.add("a", np.array([[0, 0, 1, 1]], np.uint8))
    scores.add("b", np.array([[0, 0]], np.uint8))
    told = scores.write(tmp_path / "out")
    assert told == ["mean IoU 0.4667 of 2 photos", "  background 0.6000", "  dog 0.3333"]
    assert read_json(tmp_path / "out/scores.json")["iou"] == {"background": 0.6, "dog": 1 / 3}


def test_another_size_is_told_and_nothing_at_all_too(tmp_path: Path) -> None:
    write_mask(tmp_path / "a.png", [[0, 0]])
    scores = MaskScores(tmp_path, NAMES)
    with pytest.raises(DataError, match="must have one shape"):
        scores.add("a", np.zeros((2, 2), np.uint8))
    assert scores.write(tmp_path / "out") == ["no photo was scored"]
