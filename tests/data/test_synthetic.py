from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seglock.config import SyntheticParams
from seglock.data import VocFolder, check_dataset
from seglock.data.pictures import open_image, open_mask
from seglock.data.synthetic import class_names, generate, voc_palette, write_synthetic

SMALL = SyntheticParams(train=5, test=3, side=32)


def _digest(root: Path) -> dict[str, str]:
    files = sorted(path for path in root.rglob("*") if path.is_file())
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files
    }


@pytest.mark.parametrize("image_format", ["png", "jpeg"])
def test_is_a_sound_dataset_read_by_the_same_reader(tmp_path: Path, image_format) -> None:
    write_synthetic(SMALL, tmp_path / "raw", image_format=image_format)
    assert check_dataset(tmp_path / "raw").problems == []
    folder = VocFolder(tmp_path / "raw")
    assert folder.classes == class_names(7)
    assert [len(folder.ids(name)) for name in ("train", "val")] == [5, 3]
    images, masks = next(generate(SMALL, 8))
    for number, name in enumerate(folder.ids("train") + folder.ids("val")):
        np.testing.assert_array_equal(open_mask(folder.masks(name)[0]), masks[number])
        difference = np.asarray(open_image(folder.images(name)[0])).astype(int) - images[number]
        assert abs(difference).mean() < (4 if image_format == "jpeg" else 1e-9)


def test_the_seed_decides_everything(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_synthetic(SMALL, tmp_path / name)
    write_synthetic(SMALL.model_copy(update={"seed": 1}), tmp_path / "three")
    one, two, three = (_digest(tmp_path / name) for name in ("one", "two", "three"))
    assert one == two
    pictures = [name for name in one if name.endswith(".png")]
    assert len(pictures) == 16
    assert all(one[name] != three[name] for name in pictures)


@settings(max_examples=15)
@given(classes=st.integers(2, 20), side=st.integers(16, 65), seed=st.integers(0, 2**40))
def test_any_parameters_give_valid_arrays(classes: int, side: int, seed: int) -> None:
    params = SyntheticParams(classes=classes, side=side, seed=seed)
    images, masks = next(generate(params, 4))
    assert images.shape == (4, side, side, 3)
    assert masks.shape == (4, side, side)
    assert images.dtype == masks.dtype == np.uint8
    assert set(np.unique(masks).tolist()) <= {*range(classes), 255}
    assert images.std() > 10
    assert len(class_names(classes)) == len(set(class_names(classes))) == classes


def test_every_class_has_a_fair_share_and_void_runs_along_the_borders() -> None:
    masks = np.concatenate([masks for _, masks in generate(SyntheticParams(), 200)])
    assert len(masks) == 200
    shares = np.bincount(masks.ravel(), minlength=256) / masks.size
    assert 0.6 < shares[0] < 0.75
    assert (shares[1:7] > 0.02).all()
    inner, right, below = masks[:, :-1, :-1], masks[:, :-1, 1:], masks[:, 1:, :-1]
    for other in (right, below):
        touching = (inner != other) & (inner != 255) & (other != 255)
        assert not touching.any()


def test_dark_and_bright_classes_and_hues_are_told_apart() -> None:
    colours: dict[int, list[np.ndarray]] = {label: [] for label in range(1, 7)}
    for images, masks in generate(SyntheticParams(), 200):
        for label, values in colours.items():
            values.append(images[masks == label])
    mean = np.stack([np.concatenate(values).mean(axis=0) for values in colours.values()])
    dark, bright = mean[0::2].mean(axis=1), mean[1::2].mean(axis=1)
    assert dark.max() + 50 < bright.min()
    assert np.ptp(dark) < 15
    assert mean[0::2].argmax(axis=1).tolist() == mean[1::2].argmax(axis=1).tolist() == [0, 1, 2]


def test_palette_is_that_of_voc() -> None:
    # The first colours of the VOC devkit's VOCcolormap.m, and void.
    palette = np.array(voc_palette()).reshape(256, 3).tolist()
    assert palette[:4] == [[0, 0, 0], [128, 0, 0], [0, 128, 0], [128, 128, 0]]
    assert palette[8] == [64, 0, 0]
    assert palette[20] == [0, 64, 128]
    assert palette[255] == [224, 224, 192]


def test_progress_counts_images(tmp_path: Path) -> None:
    seen: list[tuple[str, int, int | None]] = []
    write_synthetic(SMALL, tmp_path / "raw", progress=lambda *step: seen.append(step))
    assert seen[-1] == ("drawing images", 8, 8)
