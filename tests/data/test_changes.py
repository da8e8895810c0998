from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from seglock.data import get_dataset
from seglock.data.changes import changed_files


@pytest.fixture
def raw(voc, params, tmp_path: Path) -> Path:
    get_dataset(params, tmp_path / "raw")
    return tmp_path / "raw"


def test_a_copy_is_as_its_source_whatever_the_times_are(voc, raw: Path) -> None:
    for path in raw.rglob("*"):
        os.utime(path, (0, 0))
    voc.image("unused")
    assert changed_files(voc.root, raw, ["train", "val"]) == []
    assert changed_files(voc.root.parent / "voc", raw, ["val"]) == []


def test_whatever_would_be_copied_otherwise_is_named(voc, raw: Path) -> None:
    mask = voc.root / "SegmentationClass/a2.png"
    content = bytearray(mask.read_bytes())
    content[-20] ^= 1
    mask.write_bytes(content)
    for path in (mask, raw / "SegmentationClass/a2.png"):
        os.utime(path, (0, 0))
    shutil.copyfile(voc.root / "JPEGImages/b2.png", voc.root / "JPEGImages/b1.png")
    (voc.root / "JPEGImages/a1.png").rename(voc.root / "JPEGImages/a1.bmp")
    voc.list("train", ["a1", "a2", "a4"])
    voc.list("test", ["a3"])
    voc.classes(["background", "cat", "cow"])
    assert changed_files(voc.root, raw, ["train", "val", "test"]) == [
        "classes.txt", "train.txt", "JPEGImages/a1", "SegmentationClass/a2", "JPEGImages/b1",
        "test.txt",
    ]  # fmt: skip
