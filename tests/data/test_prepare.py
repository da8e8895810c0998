from __future__ import annotations

import errno
import json
import math
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from seglock.config import DataParams
from seglock.data import PreparedData, VocFolder, get_dataset, prepare_dataset
from seglock.data.arrays import write_header
from seglock.data.prepare import resize_pair
from seglock.data.prepared import _open_array
from seglock.errors import DataError, StorageError
from tests.data.conftest import machine_memory


@pytest.fixture
def raw(params: DataParams, tmp_path: Path) -> Path:
    get_dataset(params, tmp_path / "raw")
    return tmp_path / "raw"


def test_arrays_hold_the_resized_images_in_the_order_of_the_ids(params, raw, tmp_path) -> None:
    grey = raw / "SegmentationClass/a1.png"
    Image.fromarray(np.resize(np.array([2, 0, 0, 1], dtype=np.uint8), (12, 20))).save(grey)
    prepared = prepare_dataset(params, raw, tmp_path / "out")
    assert (prepared.dataset, prepared.image_side) == ("tiny", 8)
    assert (prepared.classes, prepared.num_classes) == (("background", "cat", "dog"), 3)
    assert sorted(prepared.train.ids + prepared.val.ids) == ["a1", "a2", "a3", "a4"]
    assert prepared.test.ids == ("b1", "b2")
    folder = VocFolder(raw)
    for split in (prepared.train, prepared.val, prepared.test):
        assert split.images.shape == (len(split), 3, 8, 8)
        assert split.masks.shape == (len(split), 8, 8)
        assert split.images.dtype == split.masks.dtype == np.uint8
        for name, image, mask in zip(split.ids, split.images, split.masks, strict=True):
            with Image.open(folder.images(name)[0]) as picture:
                expected = np.asarray(picture.resize((8, 8), Image.Resampling.BILINEAR))
            np.testing.assert_array_equal(image, expected.transpose(2, 0, 1))
            with Image.open(folder.masks(name)[0]) as picture:
                expected = np.asarray(picture.resize((8, 8), Image.Resampling.NEAREST))
            np.testing.assert_array_equal(mask, expected)


def test_prepared_json_tells_what_there_is(params, raw, tmp_path) -> None:
    prepared = prepare_dataset(params, raw, tmp_path / "out")
    info = json.loads((tmp_path / "out" / "prepared.json").read_text())
    assert info["counts"] == {"train": 3, "val": 1, "test": 2}
    assert info["digest"] == prepared.digest
    assert info["ids"]["test"] == ["b1", "b2"]
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"prepared.json", *info["files"]}


def test_same_input_same_bytes(params, raw, tmp_path) -> None:
    one = prepare_dataset(params, raw, tmp_path / "one")
    two = prepare_dataset(params, raw, tmp_path / "two")
    assert one.digest == two.digest
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()
    other = prepare_dataset(params.model_copy(update={"split_seed": 2}), raw, tmp_path / "three")
    assert other.val.ids != one.val.ids
    assert other.digest != one.digest


def test_classes_that_are_not_selected_become_void(params, raw, tmp_path) -> None:
    every = prepare_dataset(params, raw, tmp_path / "all").test.masks
    some = prepare_dataset(params.model_copy(update={"classes": ["dog"]}), raw, tmp_path / "some")
    assert some.classes == ("background", "dog")
    expected = np.array(every)
    expected[every == 1] = 255
    expected[every == 2] = 1
    np.testing.assert_array_equal(some.test.masks, expected)


def test_all_problems_before_anything_is_written(params, raw, tmp_path) -> None:
    (raw / "JPEGImages/a1.png").write_bytes(b"damaged")
    Image.new("L", (20, 12), 9).save(raw / "SegmentationClass/a2.png")
    Image.new("L", (20, 11)).save(raw / "SegmentationClass/b1.png")
    with pytest.raises(DataError, match="must be a sound dataset, got 3 problems:") as caught:
        prepare_dataset(params, raw, tmp_path / "out")
    for text in ("a1.png must be a whole image", "labels 9 in 240 pixels", "its mask 20x11"):
        assert text in str(caught.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("classes", "labels", "only"),
    [
        (None, [0, 255], "only background occurs"),
        (["dog"], [0, 1], "only background occurs"),
        (None, [255, 255], "no class occurs"),
    ],
)
def test_no_split_may_have_one_class_only(params, raw, tmp_path, classes, labels, only) -> None:
    half = np.repeat(np.array(labels, dtype=np.uint8), 120).reshape(12, 20)
    for name in ("b1", "b2"):
        Image.fromarray(half).save(raw / f"SegmentationClass/{name}.png")
    chosen = params.model_copy(update={"classes": classes})
    with pytest.raises(DataError, match=f"fewer than two classes .*\n  (val|test): {only} beside"):
        prepare_dataset(chosen, raw, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_class_lost_in_resizing_counts_as_absent(params, raw, tmp_path) -> None:
    for name in ("b1", "b2"):
        dot = np.zeros((12, 20), dtype=np.uint8)
        dot[0, 0] = 1
        Image.fromarray(dot).save(raw / f"SegmentationClass/{name}.png")
    with pytest.raises(DataError, match="test: only background occurs beside 0 pixels of void"):
        prepare_dataset(params, raw, tmp_path / "out")


def test_photos_are_upright_beside_their_masks(params, raw, tmp_path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    mask = np.zeros((20, 12), dtype=np.uint8)
    mask[:8] = 1
    photo = np.repeat(mask[..., None] * 200, 3, axis=2)
    Image.fromarray(np.rot90(photo).copy()).save(raw / "JPEGImages/b1.png", exif=exif)
    Image.fromarray(mask).save(raw / "SegmentationClass/b1.png")
    prepared = prepare_dataset(params, raw, tmp_path / "out")
    test = prepared.test
    assert "that view (1): b1" in prepared.notes[0]
    np.testing.assert_array_equal(test.images[0][0] > 100, test.masks[0] == 1)


@pytest.mark.parametrize(
    ("names", "kept", "note"),
    [
        ("_background_ cat dog", ("_background_", "dog"), "class 0, _background_, is kept as the"),
        ("void cat dog", ("cat", "dog"), "void is not in data.classes: its pixels are void"),
        ("background cat dog", ("background", "dog"), "val: no pixel of"),
    ],
)
def test_what_becomes_of_the_background_is_said(
    new_voc, params, tmp_path, names, kept, note
) -> None:
    more = new_voc("more")
    more.classes(names.split())
    more.fill({"train": ["a1", "a2", "a3"], "val": ["b1"]})
    wanted = [name for name in kept if name in ("cat", "dog")]
    chosen = params.model_copy(update={"source": str(more.root), "classes": wanted})
    get_dataset(chosen, tmp_path / "raw")
    prepared = prepare_dataset(chosen, tmp_path / "raw", tmp_path / "out")
    assert prepared.classes == kept
    assert any(text.startswith(note) for text in prepared.notes) == (names[0] != "b")
    assert PreparedData.open(tmp_path / "out").notes == prepared.notes


def test_empty_splits_are_refused(params, raw, tmp_path) -> None:
    (raw / "ImageSets/Segmentation/val.txt").write_text("\n\n")
    with pytest.raises(DataError, match=r"empty split.*\n.*val.txt: names no images"):
        prepare_dataset(params, raw, tmp_path / "out")


def test_missing_raw_folder_says_what_to_run(params, tmp_path) -> None:
    with pytest.raises(DataError, match="no such folder; run `dvc repro prepare`"):
        prepare_dataset(params, tmp_path / "raw", tmp_path / "out")


def test_extra_images_are_for_training(params, new_voc, tmp_path) -> None:
    extra = new_voc("more")
    extra.fill({"train": ["x1", "x2"]})
    more = params.model_copy(update={"extra_source": str(extra.root)})
    get_dataset(more, tmp_path / "raw")
    prepared = prepare_dataset(more, tmp_path / "raw", tmp_path / "out")
    assert prepared.train.ids[-2:] == ("x1", "x2")
    assert len(prepared.train) == 5
    extra.classes(["background", "dog", "cat"])
    get_dataset(more, tmp_path / "raw")
    with pytest.raises(DataError, match="must have the classes of the dataset, got background, do"):
        prepare_dataset(more, tmp_path / "raw", tmp_path / "out")


def test_a_full_disk_leaves_what_was_there(params, raw, tmp_path, monkeypatch) -> None:
    before = prepare_dataset(params, raw, tmp_path / "out").digest

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("seglock.data.arrays.os.fsync", full)
        with pytest.raises(StorageError, match="no space left on device; free some space"):
            prepare_dataset(params.model_copy(update={"split_seed": 2}), raw, tmp_path / "out")
    assert PreparedData.open(tmp_path / "out").digest == before
    assert {path.name for path in tmp_path.iterdir()} == {"raw", "out", "voc"}


def test_few_images_are_in_memory_at_a_time(voc, params, tmp_path, monkeypatch) -> None:
    voc.fill({"train": [f"n{i}" for i in range(300)]})
    resized: list[str] = []
    ahead: list[int] = []

    def resize(member, *arguments):
        resized.append(member.id)
        return resize_pair(member, *arguments)

    def progress(what: str, done: int, total: int | None) -> None:
        if what == "resizing train":
            ahead.append(len(resized) - done)

    monkeypatch.setattr("seglock.data.prepare.resize_pair", resize)
    prepare_dataset(params, voc.root, tmp_path / "out", progress=progress)
    assert ahead == [0] * 5


class TestOpening:
    @pytest.fixture
    def out(self, params, raw, tmp_path) -> Path:
        prepare_dataset(params, raw, tmp_path / "out")
        shutil.rmtree(raw)
        return tmp_path / "out"

    def test_arrays_are_mappings_that_nobody_can_write(self, out) -> None:
        prepared = PreparedData.open(out)
        assert isinstance(prepared.train.images, np.memmap)
        with pytest.raises(ValueError, match="read-only"):
            prepared.train.images[0] = 7

    def test_arrays_may_be_larger_than_memory(self, out) -> None:
        side = 4096
        count = 2 * machine_memory() // (3 * side * side)
        shape = (count, 3, side, side)
        with (out / "train_images.npy").open("wb") as file:  # holes: it takes no room
            write_header(file, shape, np.dtype(np.uint8))
            file.truncate(file.tell() + math.prod(shape))
        assert _open_array(out / "train_images.npy", shape)[-1, -1, -1, -1] == 0

    @pytest.mark.parametrize("name", ["train_images.npy", "test_masks.npy", "prepared.json"])
    def test_missing_files(self, out, name) -> None:
        (out / name).unlink()
        with pytest.raises(
            DataError, match=f"{name} must exist, got no such file; run `dvc repro prepare`"
        ):
            PreparedData.open(out)

    @pytest.mark.parametrize("name", ["train_images.npy", "val_masks.npy"])
    @pytest.mark.parametrize("keep", [0, 5, 100, -1])
    def test_truncated_arrays(self, out, name, keep) -> None:
        content = (out / name).read_bytes()
        (out / name).write_bytes(content[:keep])
        with pytest.raises(DataError, match=f"{name} must be as it was written"):
            PreparedData.open(out, verify=False)

    def test_a_pipe_is_not_waited_for(self, out) -> None:
        (out / "val_masks.npy").unlink()
        os.mkfifo(out / "val_masks.npy")
        with pytest.raises(DataError, match=r"val_masks.npy must be .*, got no plain file"):
            PreparedData.open(out)

    def test_a_flipped_bit_is_found(self, out) -> None:
        content = bytearray((out / "val_images.npy").read_bytes())
        content[-1] ^= 1
        (out / "val_images.npy").write_bytes(content)
        PreparedData.open(out, verify=False)
        with pytest.raises(DataError, match=r"val_images.npy must be as it was written, got other"):
            PreparedData.open(out)

    def test_another_array_is_refused(self, out) -> None:
        np.save(out / "val_masks.npy", np.zeros((1, 8, 9), dtype=np.uint8))
        with pytest.raises(DataError, match=r"uint8 \(1, 8, 9\) instead of uint8 \(1, 8, 8\)"):
            PreparedData.open(out)
        np.save(out / "val_masks.npy", np.zeros((1, 8, 8), dtype=np.int64))
        with pytest.raises(DataError, match="int64"):
            PreparedData.open(out)

    @pytest.mark.parametrize("text", ["{}", "[]", "null", '{"image_side": "a"}', "{"])
    def test_damaged_description(self, out, text) -> None:
        (out / "prepared.json").write_text(text)
        with pytest.raises(DataError, match=r"prepared\.json must (be|hold)"):
            PreparedData.open(out)

    def test_a_changed_digest_is_found(self, out) -> None:
        text = (out / "prepared.json").read_text()
        digest = json.loads(text)["digest"]
        (out / "prepared.json").write_text(text.replace(digest, "0" * 64))
        with pytest.raises(DataError, match="a digest that is not that of its files"):
            PreparedData.open(out)


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("source", "classes", "splits"),
    [
        ("camvid", None, {"train": 6, "val": 3, "test": 4}),
        (
            "voc2012-animals/VOCdevkit/VOC2012",
            ["cat", "cow", "dog", "horse", "sheep"],
            {"train": 6, "val": 4},
        ),
    ],
)
def test_real_images_shrunk(real_data, tmp_path, source, classes, splits) -> None:
    place = tmp_path / "small"
    full = VocFolder(real_data / source)
    (place / "ImageSets/Segmentation").mkdir(parents=True)
    for name in ("JPEGImages", "SegmentationClass"):
        (place / name).symlink_to(real_data / source / name)
    for name, count in splits.items():
        ids = full.ids(name)[:count]
        (place / f"ImageSets/Segmentation/{name}.txt").write_text("\n".join(ids))
    if classes is None:
        shutil.copyfile(real_data / source / "classes.txt", place / "classes.txt")
    params = DataParams(
        dataset="small",
        source=str(place),
        classes=classes,
        val_split="val" if "test" in splits else 2,
        test_split="test" if "test" in splits else "val",
        image_side=64,
    )
    get_dataset(params, tmp_path / "raw")
    assert not any(path.is_symlink() for path in (tmp_path / "raw").rglob("*"))
    prepared = prepare_dataset(params, tmp_path / "raw", tmp_path / "out")
    assert prepared.num_classes == (11 if classes is None else 6)
    sizes = (len(prepared.train), len(prepared.val), len(prepared.test))
    assert sizes == ((6, 3, 4) if classes is None else (4, 2, 4))
    labels = set(np.unique(prepared.train.masks).tolist())
    assert labels <= {*range(prepared.num_classes), 255}
    assert len(labels) > 3
    assert prepared.train.images.std() > 20
