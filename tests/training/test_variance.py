"""Batches of one image: where a network cannot train on one, that is said before it begins."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from seglock.config import NETWORKS, TrainParams, check_params
from seglock.config.rules import singles
from seglock.errors import TrainingError
from seglock.models import build_model
from seglock.tracking import MemoryTracker
from seglock.training import require_variance, train
from seglock.training.batches import epoch_batches
from tests.training.small import small_data, small_job, small_params


@given(
    images=st.integers(1, 60), size=st.integers(1, 20), parts=st.integers(1, 20), last=st.booleans()
)
def test_single_images_are_found_wherever_they_come_from(
    images: int, size: int, parts: int, last: bool
) -> None:
    assume(size % parts == 0 and (images >= size or not last))
    recipe = TrainParams(batch_size=size, accumulate=parts, drop_last=last)
    cut = [
        len(part)
        for batch in epoch_batches(images, recipe, 1)
        for part in torch.zeros(len(batch)).tensor_split(min(parts, len(batch)))
    ]
    # A whole batch is one that another set of images would have: it counts without being there.
    assert (singles(dict(recipe), images) is not None) == (min(cut) == 1 or size // parts == 1)


def params(model: str, side: int, **train: Any) -> Any:
    values: dict[str, Any] = {"batch_size": 2, "drop_last": False, "device": "cpu", **train}
    lock = {"baseline": {"steps": []}}
    return check_params(
        {"data": {"image_side": side}, "locks": lock, "model": {"name": model}, "train": values}
    )


@pytest.mark.parametrize("model", [*NETWORKS, "timm/tf_efficientnet_lite0"])
def test_what_is_refused_is_what_torch_refuses(model: str) -> None:
    network = build_model(params(model, 8).model, 2).train()
    for side in (8, 64):
        wanted = params(model, side)
        try:
            with torch.no_grad():
                network(torch.zeros(1, 3, side, side))
        except ValueError:
            with pytest.raises(TrainingError, match=r"set train\.drop_last: true"):
                require_variance(wanted, 5)
        else:
            require_variance(wanted, 5)
        require_variance(wanted, 4)  # no image is left over


@pytest.mark.parametrize(
    ("train", "fix"),
    [
        ({"batch_size": 1}, "raise train.batch_size; or set"),
        ({"batch_size": 4, "accumulate": 4}, "or lower train.accumulate"),
        ({"batch_size": 5}, "set train.drop_last: true"),
        ({"batch_size": 2, "reestimate_batch_norm": True}, "train.reestimate_batch_norm: false"),
    ],
)
def test_every_way_to_single_images_has_its_fix(train: Mapping[str, Any], fix: str) -> None:
    images = 3 if "reestimate_batch_norm" in train else 6
    last = {"drop_last": True} if "reestimate_batch_norm" in train else {}
    with pytest.raises(TrainingError) as caught:
        require_variance(params("fcn_small", 8, **train, **last), images)
    assert "got batches of one image, which fcn_small makes one pixel at 8x8" in str(caught.value)
    assert fix in str(caught.value)
    assert str(caught.value).endswith("or set model.norm to group or frozen")


def test_a_training_is_refused_before_its_first_step(tmp_path: Path) -> None:
    one_pixel = small_params(batch_size=1)
    one_pixel = one_pixel.model_copy(
        update={"data": one_pixel.data.model_copy(update={"image_side": 8})}
    )
    tracker = MemoryTracker()
    with pytest.raises(TrainingError, match="more than one value"):
        train(small_job(tmp_path, one_pixel, data=small_data()), tracker=tracker, progress=False)
    assert not tracker.metrics


def test_group_norm_takes_single_images() -> None:
    wanted = params("fcn_small", 8, batch_size=1)
    model = wanted.model.model_copy(update={"norm": "group"})
    require_variance(wanted.model_copy(update={"model": model}), 3)
