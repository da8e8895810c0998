from __future__ import annotations

import os
import shutil
import time
import unicodedata

import numpy as np
import pytest
from PIL import Image

from seglock.data import (
    Problem,
    check_dataset,
    class_notes,
    require_sound,
)
from seglock.errors import DataError


def _kinds(problems: list[Problem]) -> dict[str, str]:
    return {problem.kind: str(problem) for problem in problems}


def test_a_sound_dataset_has_no_problem(voc) -> None:
    assert check_dataset(voc.root).problems == []


def test_every_problem_is_reported_at_once(voc) -> None:
    voc.list("train", ["a1", "a2", "a3", "a4", "a5", "a1", "b1", "../x", "two words"])
    voc.list("test", [])
    (voc.root / "SegmentationClass/a2.png").unlink()
    path = voc.root / "JPEGImages/a3.png"
    path.write_bytes(path.read_bytes()[:200])
    voc.mask("a4", np.array([[0, 1, 3], [255, 9, 9]], dtype=np.uint8))
    voc.image("b2", size=(21, 12))
    voc.image("b2", suffix=".jpg")
    (voc.root / "SegmentationClass/b1.png").write_bytes(b"no png")
    found = _kinds(check_dataset(voc.root).problems)
    assert found.pop("bad id").startswith("train.txt: an id must name a file, got '")
    assert found.pop("unreadable image").startswith("a3: a3.png must be a whole image, got")
    assert found.pop("unreadable mask").startswith("b1: b1.png must be a whole image, got")
    assert found == {
        "duplicate id": "train.txt: a1 is named 2 times",
        "id in two splits": "val.txt: b1 is also in train",
        "empty split": "test.txt: names no images",
        "missing image": "a5: no such image in JPEGImages/",
        "missing mask": "a5: no such mask in SegmentationClass/",
        "two images": "b2: b2.jpg, b2.png in JPEGImages/",
        "size mismatch": "a4: the image is 20x12, its mask 3x2",
        "label out of range": "a4: labels 3, 9 in 3 pixels are not 0..2 or 255",
    }


def test_missing_lists(voc) -> None:
    found = check_dataset(voc.root, splits=["train", "nothing"]).problems
    assert [problem.kind for problem in found] == ["missing list"]
    for path in (voc.root / "ImageSets/Segmentation").iterdir():
        path.unlink()
    assert [problem.kind for problem in check_dataset(voc.root).problems] == ["missing list"]


def test_default_splits_leave_trainval_out(voc) -> None:
    voc.list("trainval", ["a1", "a2", "a3", "a4", "b1", "b2"])
    assert check_dataset(voc.root).problems == []
    problems = check_dataset(voc.root, splits=["train", "trainval"]).problems
    assert {problem.kind for problem in problems} == {"id in two splits"}


def test_class_names_bound_the_labels(voc) -> None:
    voc.classes(["background", "cat"])
    assert {p.kind for p in check_dataset(voc.root).problems} == {"label out of range"}
    voc.classes(["cat", "cat"])
    assert [problem.kind for problem in check_dataset(voc.root).problems] == ["classes"]


def test_without_pixels_no_image_is_opened(voc) -> None:
    (voc.root / "JPEGImages/a1.png").write_bytes(b"")
    assert check_dataset(voc.root, pixels=False).problems == []
    assert len(check_dataset(voc.root).problems) == 1


def test_thousands_of_problems_are_summed_up(voc) -> None:
    voc.list("train", [f"none_{i}" for i in range(5000)])
    problems = check_dataset(voc.root).problems
    assert len(problems) == 10_000
    with pytest.raises(
        DataError, match="voc must be a sound dataset, got 10000 problems:\n"
    ) as got:
        require_sound(problems, voc.root)
    text = str(got.value)
    assert len(text.splitlines()) == 1 + 2 * (1 + 8 + 1)
    assert "missing mask (5000):\n  none_0: no such mask" in text
    assert text.endswith("... and 4992 more")


def test_progress_reaches_the_end(voc) -> None:
    seen: list[tuple[str, int, int | None]] = []
    check_dataset(voc.root, progress=lambda *step: seen.append(step))
    assert seen == [("checking images", done, 6) for done in range(1, 7)]


def _photo(voc, name: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.new("RGB", (20, 12)).save(voc.root / f"JPEGImages/{name}.png", exif=exif)


def test_photos_and_masks_must_agree_as_viewers_show_them(voc) -> None:
    for name, orientation in (("a1", 3), ("a2", 6), ("a3", 8)):
        _photo(voc, name, orientation)
    voc.mask("a3", np.array([[0] * 12, [1] * 12] * 10, dtype=np.uint8))
    found = check_dataset(voc.root)
    assert [str(problem) for problem in found.problems] == [
        "a2: the image is 12x20, its mask 20x12; they agree as they are stored, but viewers turn "
        "one by its EXIF orientation: remove that, or turn the other as well"
    ]
    assert found.notes == [
        "images turned by their EXIF orientation, as viewers show them; masks must be drawn on "
        "that view (3): a1, a2, a3"
    ]


def test_objects_stored_as_255_leave_one_class(voc) -> None:
    voc.classes(["background", "polyp"])
    for name in ("a1", "a2", "a3", "a4", "b1", "b2"):
        voc.mask(name, np.array([[0] * 20] * 6 + [[255] * 20] * 6, dtype=np.uint8))
    found = [str(problem) for problem in check_dataset(voc.root).problems]
    assert found == [
        f"{split}: only background occurs beside {count} pixels of void (255); "
        "an object needs its class index, 1..1, its name in data.classes if that is set, "
        "and a pixel at data.image_side"
        for split, count in (("train", 480), ("val", 240))
    ]


def test_a_class_absent_from_a_split_is_a_note(voc) -> None:
    for name in ("b1", "b2"):
        voc.mask(name, np.array([[0] * 20] * 6 + [[2] * 20] * 6, dtype=np.uint8))
    voc.mask("a1", np.full((12, 20), 255, dtype=np.uint8))
    found = check_dataset(voc.root)
    assert found.problems == []
    assert found.notes == ["masks that are void everywhere (1): a1"]
    assert class_notes(found.pixels, ("background", "cat", "dog")) == ["val: no pixel of cat"]


def test_voc_s_own_names_are_said_to_be_taken(voc) -> None:
    (voc.root / "classes.txt").unlink()
    shutil.rmtree(voc.root / "ImageSets")
    (voc.root / "ImageSets/Segmentation").mkdir(parents=True)
    voc.fill({"train": ["2007_000032"]})
    found = check_dataset(voc.root)
    said = "no classes.txt, and the ids are PASCAL VOC's: labels are read as its 21 classes"
    assert (found.problems, found.notes) == ([], [said])


def test_labels_without_names_are_listed(voc) -> None:
    (voc.root / "classes.txt").unlink()
    voc.mask("a4", np.array([[0, 38] * 10] * 12, dtype=np.uint8))
    found = check_dataset(voc.root)
    (problem,) = found.problems
    assert found.classes == ()
    assert problem.message.endswith(
        "got no such file; write one class a line, in the order of the masks' indices; "
        "its masks have the labels 0 to 2, 38, and 255, which is void"
    )


def test_ids_that_become_one_are_refused(voc) -> None:
    name = "caf\u00e9"
    for form in ("NFC", "NFD"):
        voc.image(unicodedata.normalize(form, name))
    voc.mask(name)
    voc.list("train", ["a1", "a2.png", "a2", name, unicodedata.normalize("NFD", name)])
    found = [str(problem) for problem in check_dataset(voc.root).problems]
    assert found[:2] == [
        "train.txt: a2 is named 2 times",
        f"train.txt: {name} is named 2 times",
    ]
    assert found[2].startswith(f"{name}: ")
    assert found[2].endswith(" in JPEGImages/")


def test_files_of_another_kind_are_named(voc) -> None:
    (voc.root / "JPEGImages/a1.png").rename(voc.root / "JPEGImages/a1.tif")
    (voc.root / "SegmentationClass/a2.png").rename(voc.root / "SegmentationClass/a2.bmp")
    assert _kinds(check_dataset(voc.root).problems) == {
        "missing image": "a1: no such image in JPEGImages/, and 'a1.tif' is none of .jpg, .jpeg, "
        ".png, .bmp, .webp",
        "missing mask": "a2: no such mask in SegmentationClass/, and 'a2.bmp' is none of .png",
    }


@pytest.mark.real_data
@pytest.mark.parametrize(("name", "splits"), [("camvid", 3), ("voc2012-animals", 2)])
def test_real_datasets_are_sound(real_data, name: str, splits: int) -> None:
    seen: list[tuple[str, int, int | None]] = []
    start = time.monotonic()
    assert check_dataset(real_data / name, progress=lambda *step: seen.append(step)).problems == []
    assert time.monotonic() - start < 60
    assert len(seen) == {"camvid": 701, "voc2012-animals": 882}[name]


def test_a_pipe_among_the_images_is_a_problem_and_no_wait(voc) -> None:
    (voc.root / "JPEGImages/a1.png").unlink()
    os.mkfifo(voc.root / "JPEGImages/a1.png")
    assert "no plain file" in "".join(map(str, check_dataset(voc.root).problems))
