from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from seglock.config import load_profile
from seglock.data import get_dataset, prepare, prepare_dataset
from seglock.data.check import check_dataset
from seglock.errors import EvaluationError
from seglock.evaluation import floors
from seglock.evaluation.floors import majority_mask

CLASSES = 4
PROFILES = Path(__file__).parents[2] / "profiles"
masks = hnp.arrays(
    np.uint8,
    st.tuples(st.integers(1, 5), st.just(3), st.just(2)),
    elements=st.sampled_from([*range(CLASSES), 255]),
)


def scored(guess: np.ndarray, target: np.ndarray) -> float:
    from sklearn.metrics import jaccard_score

    valid = target != 255
    labels = sorted(set(target[valid].tolist()))
    return float(
        jaccard_score(target[valid], guess[valid], labels=labels, average="macro", zero_division=0)
    )


@settings(max_examples=30)
@given(masks, masks.filter(lambda m: len({*m.ravel().tolist()} - {255}) > 1))
def test_floors_are_what_scikit_learn_gives_the_guesses(
    train: np.ndarray, test: np.ndarray
) -> None:
    found = floors(train, test, CLASSES)
    constants = [scored(np.full_like(test, index), test) for index in range(CLASSES)]
    assert found.constant == pytest.approx(max(constants), rel=1e-12)
    prior = np.broadcast_to(majority_mask(train, CLASSES), test.shape)
    assert found.prior == pytest.approx(scored(prior, test), rel=1e-12)
    assert found.floor == max(found.constant, found.prior)


@settings(max_examples=30)
@given(masks)
def test_majority_is_the_most_frequent_label_of_each_pixel(train: np.ndarray) -> None:
    guess = majority_mask(train, CLASSES)
    overall = np.bincount(train[train != 255], minlength=CLASSES)
    for place in np.ndindex(train.shape[1:]):
        votes = np.bincount(train[(slice(None), *place)], minlength=256)[:CLASSES]
        assert guess[place] == (votes if votes.any() else overall).argmax()


def test_many_masks_are_read_in_pieces() -> None:
    train = np.zeros((200, 2, 2), np.uint8)
    train[:150, 0, 0] = 1
    assert majority_mask(train, 2).tolist() == [[1, 0], [0, 0]]
    assert floors(train, train, 2).prior > floors(train, train, 2).constant


def test_masks_of_two_sizes_are_refused() -> None:
    with pytest.raises(EvaluationError, match="one size"):
        floors(np.zeros((1, 2, 2), np.uint8), np.zeros((1, 2, 4), np.uint8), 2)


@pytest.mark.parametrize(("labels", "classes"), [([255, 255], 0), ([0, 255], 1), ([1, 1], 1)])
def test_a_test_split_of_one_class_is_refused(labels: list[int], classes: int) -> None:
    masks = np.array([[labels]], np.uint8)
    with pytest.raises(EvaluationError, match=f"two classes .* not void, got {classes}; check"):
        floors(np.zeros((1, 1, 2), np.uint8), masks, 2)


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("profile", "constant", "prior"), [("camvid", 0.024, 0.170), ("voc-animals", 0.124, 0.129)]
)
def test_floors_of_real_images_are_the_known_ones(
    real_data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    profile: str,
    constant: float,
    prior: float,
) -> None:
    """They are of masks alone: no photo is opened."""
    monkeypatch.setenv("SEGLOCK_REAL_DATA", str(real_data))
    monkeypatch.setattr(prepare, "check_dataset", partial(check_dataset, pixels=False))
    monkeypatch.setattr(prepare, "open_image", lambda path: Image.new("RGB", (64, 64)))
    params = load_profile(PROFILES / f"{profile}.yaml").data.model_copy(update={"image_side": 64})
    get_dataset(params, tmp_path / "raw")
    data = prepare_dataset(params, tmp_path / "raw", tmp_path / "prepared")
    found = floors(data.train.masks, data.test.masks, data.num_classes)
    assert found.constant == pytest.approx(constant, abs=5e-4)
    assert found.prior == pytest.approx(prior, abs=5e-4)
