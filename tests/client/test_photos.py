"""Which files are photos, what they are called, and what is taken for one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from seglock.client.photos import ENVELOPE, Photo, find_photos, open_photo, output_path
from seglock.errors import DataError


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def test_folders_are_searched_and_files_are_taken_as_they_are(tmp_path: Path) -> None:
    touch(tmp_path, "in/b.JPG", "in/a/c.png", "in/note.txt", "in/.hidden.png", "in/d.enc.png")
    touch(tmp_path, "in/out/masks/b.png", "in/.cache/e.png", "other.photo")
    out = tmp_path / "in/out"
    found = find_photos([tmp_path / "in", tmp_path / "other.photo"], out)
    assert [photo.name for photo in found] == ["a/c", "b", "other"]
    sealed = find_photos([tmp_path / "in"], out, endings=(ENVELOPE,))
    assert [photo.name for photo in sealed] == ["d"]
    assert find_photos([tmp_path / "in/b.JPG"] * 2, out) == [Photo(tmp_path / "in/b.JPG", "b")]


def test_what_is_not_there_none_at_all_and_two_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"absent must be a photo .*, got no such file"):
        find_photos([tmp_path / "absent"], tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"must be photos .*; their names end in \.jpg, \.jpeg"):
        find_photos([tmp_path / "empty"], tmp_path / "out")
    touch(tmp_path, "in/a.jpg", "in/a.png")
    with pytest.raises(DataError, match=r"differ in their names.*a\.jpg and .*a\.png"):
        find_photos([tmp_path / "in"], tmp_path / "out")


def test_a_photo_is_never_written_over(tmp_path: Path) -> None:
    touch(tmp_path, "a.png")
    with pytest.raises(DataError, match="must not take its place"):
        output_path(Photo(tmp_path / "a.png", "a"), tmp_path, ".png")
    assert output_path(Photo(tmp_path / "a.png", "a"), tmp_path, ".enc.png").name == "a.enc.png"


def test_files_pictures_and_arrays_are_one_photo(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 256, (4, 6, 3), dtype=np.uint8)
    Image.fromarray(values).save(tmp_path / "a.png")
    for photo in (tmp_path / "a.png", str(tmp_path / "a.png"), Image.fromarray(values), values):
        opened = open_photo(photo)
        assert opened.size == (6, 4)
        assert np.array_equal(np.asarray(opened), values)
    grey = Image.new("L", (2, 2), 7)
    assert open_photo(grey).getpixel((0, 0)) == (7, 7, 7)


@pytest.mark.parametrize(
    ("photo", "got"),
    [
        (np.zeros((3, 4, 4), np.uint8), r"uint8 of shape \(3, 4, 4\)"),
        (np.zeros((4, 4, 3)), "float64 of shape"),
        (np.zeros((0, 4, 3), np.uint8), r"uint8 of shape \(0, 4, 3\)"),
        (Image.new("CMYK", (2, 2)), "mode CMYK"),
        (b"", "bytes"),
    ],
)
def test_anything_else_is_one_message(photo: object, got: str) -> None:
    with pytest.raises(DataError, match=f", got {got}"):
        open_photo(photo)  # type: ignore[arg-type]
