from __future__ import annotations

import unicodedata
from pathlib import Path

import numpy as np
import pytest

from seglock.data import VOC_CLASSES, VocFolder, find_voc_folder
from seglock.data.layout import read_classes
from seglock.data.pictures import open_image, open_mask
from seglock.errors import DataError


def test_reads_what_the_files_hold(voc) -> None:
    folder = VocFolder(voc.root)
    assert folder.classes == ("background", "cat", "dog")
    assert folder.ids("train") == ["a1", "a2", "a3", "a4"]
    assert folder.lists == ["train", "val"]
    image = np.asarray(open_image(folder.images("a1")[0]))
    assert image.shape == (12, 20, 3)
    assert image.dtype == np.uint8
    expected = np.random.default_rng(list(b"a1")).integers(0, 256, (12, 20, 3), dtype=np.uint8)
    np.testing.assert_array_equal(image, expected)
    mask = np.asarray(open_mask(folder.masks("a1")[0]))
    assert mask.shape == (12, 20)
    assert np.unique(mask).tolist() == [0, 1, 2, 255]


@pytest.mark.parametrize("suffix", [".jpg", ".jpeg", ".JPG", ".png", ".bmp", ".webp"])
def test_finds_images_of_every_suffix(voc, suffix: str) -> None:
    path = voc.image("new", suffix=suffix)
    assert VocFolder(voc.root).images("new") == [path]


@pytest.mark.parametrize("inside", ["", "VOC2012", "VOCdevkit/VOC2012", "VOCdevkit/VOC2007", "x"])
def test_finds_the_dataset_inside(new_voc, tmp_path: Path, inside: str) -> None:
    new_voc(f"top/{inside}")
    assert find_voc_folder(tmp_path / "top").root == tmp_path / "top" / inside


def test_refuses_none_and_several(new_voc, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"layout, got no ImageSets/Segmentation.*it needs JPEG"):
        find_voc_folder(tmp_path)
    with pytest.raises(DataError, match="must exist"):
        find_voc_folder(tmp_path / "nothing")
    new_voc("top/VOCdevkit/VOC2007")
    new_voc("top/VOCdevkit/VOC2011")
    with pytest.raises(DataError, match="got VOCdevkit/VOC2007, VOCdevkit/VOC2011; name one"):
        find_voc_folder(tmp_path / "top")


def test_class_names(voc) -> None:
    (voc.root / "classes.txt").unlink()
    for read in (read_classes, lambda root: VocFolder(root).classes):
        with pytest.raises(
            DataError, match=r"classes\.txt must name the classes, got no such file"
        ):
            read(voc.root)
    for text, problem in (
        ("cat\ndog\ncat", "cat twice"),
        ("one", "1 names"),
        ("", "0 names"),
        ("cat\n\ndog", "an empty line 2, which would move the indices"),
        ("cat\nd\x1bog", r"cannot be seen in 'd\\x1bog'"),
        ("caf\u00e9\ncafe\u0301", "caf\u00e9 twice"),
    ):
        (voc.root / "classes.txt").write_text(text)
        with pytest.raises(DataError, match=problem):
            read_classes(voc.root)


def test_only_photos_of_pascal_voc_have_its_classes_unsaid(voc) -> None:
    (voc.root / "classes.txt").unlink()
    voc.list("train", ["2007_000032", "2011_003276"])
    assert not VocFolder(voc.root).is_pascal  # another list has other images
    voc.list("val", ["2008_000002"])
    assert VocFolder(voc.root).classes == VOC_CLASSES
    assert len(VOC_CLASSES) == 21
    assert VOC_CLASSES.index("cat") == 8
    voc.classes(["background", "cat"])
    assert VocFolder(voc.root).classes == ("background", "cat")


def test_class_names_are_read_as_people_save_them(voc) -> None:
    text = "\ufeff bg \r\ncafe\u0301\r\na/b\r\n\r\n"
    (voc.root / "classes.txt").write_bytes(text.encode())
    assert read_classes(voc.root) == ("bg", "caf\u00e9", "a/b")


def test_lists_are_read_as_people_save_them(voc) -> None:
    text = "\ufeffa1.png \r\nJPEGImages/a2.jpg SegmentationClass/a2.png\r\na3\r\n"
    (voc.root / "ImageSets/Segmentation/train.txt").write_bytes(text.encode())
    assert VocFolder(voc.root).ids("train") == ["a1", "a2", "a3"]


def test_an_id_that_looks_like_a_file_is_one_where_its_image_is_called_so(voc) -> None:
    voc.image("b.jpg")
    voc.list("train", ["b.jpg", "a1.jpg"])
    assert VocFolder(voc.root).ids("train") == ["b.jpg", "a1"]


@pytest.mark.parametrize(("disk", "listed"), [("NFD", "NFC"), ("NFC", "NFD")])
def test_ids_and_files_meet_in_any_unicode_form(voc, disk: str, listed: str) -> None:
    path = voc.image(unicodedata.normalize(disk, "caf\u00e9"))
    voc.mask(unicodedata.normalize(disk, "caf\u00e9"))
    voc.list(unicodedata.normalize(disk, "\u00fcben"), [unicodedata.normalize(listed, "caf\u00e9")])
    folder = VocFolder(voc.root)
    assert "\u00fcben" in folder.lists
    assert folder.ids(unicodedata.normalize(listed, "\u00fcben")) == ["caf\u00e9"]
    assert folder.images("caf\u00e9") == [path]
    assert len(folder.masks("caf\u00e9")) == 1


def test_a_missing_list_names_those_there_are(voc) -> None:
    with pytest.raises(DataError, match="no such list; that folder has train, val"):
        VocFolder(voc.root).ids("trainval")
