from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from seglock.data import VOC_CLASSES, VocFolder, find_voc_folder, read_image, read_mask
from seglock.data.layout import read_classes
from seglock.errors import DataError


def test_reads_what_the_files_hold(voc) -> None:
    folder = VocFolder(voc.root)
    assert folder.classes == ("background", "cat", "dog")
    assert folder.ids("train") == ["a1", "a2", "a3", "a4"]
    assert folder.lists == ["train", "val"]
    image = read_image(folder.images("a1")[0])
    assert image.shape == (12, 20, 3)
    assert image.dtype == np.uint8
    expected = np.random.default_rng(list(b"a1")).integers(0, 256, (12, 20, 3), dtype=np.uint8)
    np.testing.assert_array_equal(image, expected)
    mask = read_mask(folder.masks("a1")[0])
    assert mask.shape == (12, 20)
    assert np.unique(mask).tolist() == [0, 1, 2, 255]


@pytest.mark.parametrize("suffix", [".jpg", ".jpeg", ".JPG", ".png"])
def test_finds_images_of_every_suffix(voc, suffix: str) -> None:
    path = voc.image("new", suffix=suffix)
    assert VocFolder(voc.root).images("new") == [path]


def test_masks_are_indices_in_palette_grey_and_one_bit_files(tmp_path: Path) -> None:
    labels = np.array([[0, 1], [1, 0]], dtype=np.uint8)
    Image.fromarray(labels).save(tmp_path / "grey.png")
    Image.fromarray(labels.astype(bool)).save(tmp_path / "bit.png")
    palette = Image.fromarray(labels).convert("P")
    palette.putpalette([0, 0, 0, 200, 10, 10])
    palette.save(tmp_path / "palette.png", bits=1)
    for name in ("grey", "bit", "palette"):
        np.testing.assert_array_equal(read_mask(tmp_path / f"{name}.png"), labels)


def test_grey_and_transparent_images_become_rgb(tmp_path: Path) -> None:
    Image.new("L", (3, 2), 7).save(tmp_path / "grey.png")
    Image.new("RGBA", (3, 2), (1, 2, 3, 0)).save(tmp_path / "clear.png")
    assert (read_image(tmp_path / "grey.png") == 7).all()
    assert read_image(tmp_path / "clear.png")[0, 0].tolist() == [1, 2, 3]


def test_refuses_depths_it_would_garble(tmp_path: Path) -> None:
    Image.fromarray(np.full((2, 2), 700, dtype=np.uint16)).save(tmp_path / "deep.png")
    Image.new("RGB", (2, 2)).save(tmp_path / "colours.png")
    with pytest.raises(DataError, match="8 bits a channel"):
        read_image(tmp_path / "deep.png")
    for name in ("deep.png", "colours.png"):
        with pytest.raises(DataError, match="mask of class indices, got mode"):
            read_mask(tmp_path / name)


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.9])
def test_cut_off_images_are_refused(voc, suffix: str, share: float) -> None:
    path = voc.image("cut", size=(200, 200), suffix=suffix)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(DataError, match=f"cut{suffix} must be a whole image"):
        read_image(path)


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
    assert read_classes(voc.root) == VOC_CLASSES
    assert len(VOC_CLASSES) == 21
    assert VOC_CLASSES.index("cat") == 8
    for text, problem in (("cat\ndog\ncat", "cat twice"), ("one", "1 names"), ("", "0 names")):
        (voc.root / "classes.txt").write_text(text)
        with pytest.raises(DataError, match=problem):
            read_classes(voc.root)


def test_a_missing_list_names_those_there_are(voc) -> None:
    with pytest.raises(DataError, match="no such list; that folder has train, val"):
        VocFolder(voc.root).ids("trainval")
