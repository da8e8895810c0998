from __future__ import annotations

import numpy as np
import pytest
import torch

from seglock.data import VOID
from seglock.evaluation import iou
from seglock.evaluation.iou import Targets


def batch(classes: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Predictions and masks (5, 9, 7) uint8; some pixels are void, and one whole image."""
    rng = np.random.default_rng(seed)
    prediction = rng.integers(0, classes, (5, 9, 7), dtype=np.uint8)
    masks = rng.choice(np.array([*range(classes), VOID], np.uint8), (5, 9, 7))
    masks[3] = VOID
    return torch.from_numpy(prediction), torch.from_numpy(masks)


@pytest.mark.parametrize("classes", [2, 21, 255])
@pytest.mark.parametrize("way", ["_count_by_bincount", "_count_by_adding"])
def test_each_image_is_counted_as_scikit_learn_does(
    classes: int, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sklearn.metrics import confusion_matrix

    monkeypatch.setattr(iou, "_count_by_bincount", getattr(iou, way))
    prediction, masks = batch(classes)
    found = Targets(masks, classes).matrices(prediction)
    assert found.dtype == torch.int64
    for image in (0, 1, 2, 4):
        known = masks[image] != VOID
        expected = confusion_matrix(
            masks[image][known], prediction[image][known], labels=range(classes)
        )
        assert np.array_equal(found[image], expected)
    assert not found[3].any()


def test_one_layout_serves_any_prediction_and_type() -> None:
    prediction, masks = batch(4)
    targets = Targets(masks, 4)
    first = targets.matrices(prediction)
    assert not torch.equal(targets.matrices(3 - prediction), first)
    assert torch.equal(targets.matrices(prediction.long()), first)
