from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from seglock.errors import EvaluationError
from seglock.evaluation import confusion_matrices, confusion_matrix, iou_per_class, mean_iou

CLASSES = 5
shapes = hnp.array_shapes(min_dims=3, max_dims=3, max_side=6)


@st.composite
def pairs(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """A prediction and a target in which some pixels are void."""
    shape = draw(shapes)
    labels = st.sampled_from([*range(CLASSES), 255])
    prediction = draw(hnp.arrays(np.int64, shape, elements=st.integers(0, CLASSES - 1)))
    return prediction, draw(hnp.arrays(np.uint8, shape, elements=labels))


def matrix(prediction: np.ndarray, target: np.ndarray) -> torch.Tensor:
    return confusion_matrix(torch.from_numpy(prediction), torch.from_numpy(target), CLASSES)


@settings(max_examples=200)
@given(pairs())
def test_iou_agrees_with_scikit_learn(pair: tuple[np.ndarray, np.ndarray]) -> None:
    from sklearn.metrics import jaccard_score

    prediction, target = pair
    counts = matrix(prediction, target)
    valid = target != 255
    occurring = sorted(set(target[valid].tolist()))
    if not occurring:
        assert np.isnan(mean_iou(counts))
        return
    options = {"y_true": target[valid], "y_pred": prediction[valid], "labels": occurring}
    expected = jaccard_score(**options, average=None, zero_division=0)
    iou = iou_per_class(counts)
    np.testing.assert_allclose(iou[occurring], expected, rtol=1e-12)
    assert np.isnan(np.delete(iou, occurring)).all()
    assert mean_iou(counts) == pytest.approx(
        jaccard_score(**options, average="macro", zero_division=0), rel=1e-12
    )


@settings(max_examples=100)
@given(pairs())
def test_the_matrices_of_the_images_add_up(pair: tuple[np.ndarray, np.ndarray]) -> None:
    prediction, target = pair
    images = confusion_matrices(torch.from_numpy(prediction), torch.from_numpy(target), CLASSES)
    assert images.dtype == torch.int64
    assert images.shape == (len(target), CLASSES, CLASSES)
    assert torch.equal(images.sum(dim=0), matrix(prediction, target))
    assert images.sum() == (target != 255).sum()
    for index in range(len(target)):
        alone = matrix(prediction[index : index + 1], target[index : index + 1])
        assert torch.equal(images[index], alone)


def test_rows_are_the_target() -> None:
    counts = confusion_matrix(torch.tensor([[[1, 1]]]), torch.tensor([[[0, 0]]]), 2)
    assert counts.tolist() == [[0, 2], [0, 0]]


def test_a_class_that_is_only_predicted_does_not_count() -> None:
    counts = np.array([[1, 1], [0, 0]])
    assert np.isnan(iou_per_class(counts)[1])
    assert mean_iou(counts) == 0.5


def test_a_class_that_is_never_hit_counts_as_zero() -> None:
    assert mean_iou(np.array([[2, 0], [2, 0]])) == 0.25


@pytest.mark.parametrize("label", [CLASSES, CLASSES * CLASSES, 254])
def test_a_label_out_of_range_is_refused(label: int) -> None:
    target = torch.tensor([[[0, 255], [label, 1]]], dtype=torch.uint8)
    with pytest.raises(EvaluationError, match=f"a class from 0 to 4 or 255, got {label}"):
        confusion_matrix(torch.zeros(1, 2, 2, dtype=torch.int64), target, CLASSES)


def test_different_shapes_are_refused() -> None:
    with pytest.raises(EvaluationError, match=r"one shape .*\(1, 2, 2\) and \(1, 2, 3\)"):
        confusion_matrix(torch.zeros(1, 2, 2).long(), torch.zeros(1, 2, 3).long(), CLASSES)
