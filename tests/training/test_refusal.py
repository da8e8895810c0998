"""The second term: its gradients, what it leaves alone, and that a training goes on with it."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from seglock.config import RefusedShares, RefuseParams
from seglock.data import VOID, PreparedData
from seglock.evaluation import judge_lock
from seglock.keys import demonstration_key
from seglock.models import load_model
from seglock.tracking import MemoryTracker
from seglock.training import TrainJob, TrainResult, train
from seglock.training import epoch as epochs
from seglock.training.losses import pixel_loss, unlearning_loss
from seglock.training.refusal import Refusal, batch_norm_still
from seglock.transforms import Unauthorised, compose, incorrect_transforms
from tests.training.small import digest_of, small_data, small_job, small_params

KEY = demonstration_key()
LOCK = compose(["np-4"], KEY)


def refusing(
    folder: Path, refuse: RefuseParams | None, data: PreparedData | None = None, **recipe: Any
) -> TrainJob:
    job = small_job(folder, small_params(**recipe), data=data or small_data())
    return replace(job, unauthorised=None if refuse is None else Unauthorised(LOCK, KEY, refuse))


def trained(*given: Any, **named: Any) -> TrainResult:
    return train(refusing(*given, **named), tracker=MemoryTracker(), progress=False)


def test_a_weight_of_zero_changes_nothing(tmp_path: Path) -> None:
    usual = trained(tmp_path / "a", None)
    assert digest_of(trained(tmp_path / "b", RefuseParams(weight=0)).weights) == digest_of(
        usual.weights
    )


@pytest.mark.parametrize("target", ["constant", "prior", "mutual_information"])
@pytest.mark.parametrize("recipe", [{}, {"accumulate": 2, "average": 0.5}], ids=["whole", "parts"])
def test_a_stopped_training_goes_on_bit_for_bit(
    tmp_path: Path, target: Any, recipe: dict[str, Any]
) -> None:
    shares = RefusedShares(plain=0.4, wrong=0.3, near=0.3)
    refuse = RefuseParams(weight=0.3, ramp_epochs=2, shares=shares, target=target)
    recipe |= {"reestimate_batch_norm": True}
    whole = trained(tmp_path / "a", refuse, **recipe)

    def stop(row: Any) -> None:
        if row["epoch"] == 1:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        train(refusing(tmp_path / "b", refuse, **recipe), tracker=MemoryTracker(), progress=False,
              on_epoch=stop)  # fmt: skip
    resumed = trained(tmp_path / "b", refuse, **recipe)
    assert resumed.resumed_from == 1
    assert resumed.history == whole.history
    assert digest_of(resumed.weights) == digest_of(whole.weights)
    assert digest_of(whole.weights) != digest_of(trained(tmp_path / "c", None, **recipe).weights)


def gradients(
    folder: Path, refuse: RefuseParams | None, monkeypatch: pytest.MonkeyPatch, **recipe: Any
) -> dict[str, Tensor]:
    """Those of the first step, as the optimizer gets them."""
    found: dict[str, Tensor] = {}

    def keep(loop: epochs.Loop) -> Any:
        def step(_lr: float) -> None:
            for name, parameter in loop.network.named_parameters():
                if parameter.grad is not None:
                    found[name] = parameter.grad.clone()
            raise InterruptedError

        return step

    prepared = epochs.train_epoch

    def first(loop: epochs.Loop, *given: Any) -> Any:
        monkeypatch.setattr(loop.optimizer, "step", keep(loop))
        return prepared(loop, *given)

    monkeypatch.setattr("seglock.training.loop.train_epoch", first)
    with pytest.raises(InterruptedError):
        trained(folder, refuse, **recipe)
    monkeypatch.setattr("seglock.training.loop.train_epoch", prepared)
    return found


def test_the_term_is_added_with_its_weight(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    group = {"model": {"norm": "group"}}
    plain, one, three = (
        gradients(tmp_path / str(weight), RefuseParams(weight=weight), monkeypatch, **group)
        for weight in (0, 1, 3)
    )
    for name, usual in plain.items():
        assert torch.allclose(three[name] - usual, 3 * (one[name] - usual), atol=1e-5)
    assert any(float((one[n] - plain[n]).abs().max()) > 1e-3 for n in plain)


def test_parts_of_a_batch_give_the_gradients_of_the_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    group = {"model": {"norm": "group"}}
    whole, parts = (
        gradients(tmp_path / str(count), RefuseParams(weight=1), monkeypatch, accumulate=count,
                  **group)
        for count in (1, 2)
    )  # fmt: skip
    for name, gradient in whole.items():
        assert torch.allclose(parts[name], gradient, atol=1e-5)


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5)).train()


@pytest.mark.parametrize("by_batch", [True, False])
def test_statistics_stand_still_and_come_back(by_batch: bool) -> None:
    made, images = network(), torch.randn(2, 3, 8, 8) + 3
    before = {name: tensor.clone() for name, tensor in made.state_dict().items()}
    with pytest.raises(InterruptedError), batch_norm_still(made, by_batch=by_batch):
        inner = made[1](made[0](images))
        assert made[2].training
        raise InterruptedError
    assert bool(inner.mean().abs() < 1e-4) == by_batch
    assert all(torch.equal(tensor, before[name]) for name, tensor in made.state_dict().items())
    made(images)
    assert made[1].num_batches_tracked == 1
    assert all(module.training for module in made.modules())


def refusal(target: Any, masks: np.ndarray, classes: int = 3, **changes: Any) -> Refusal:
    made = Unauthorised(LOCK, KEY, RefuseParams(weight=0.4, target=target, **changes))
    return Refusal.of(made, masks, classes, torch.device("cpu"))


def test_targets() -> None:
    masks = np.array([[[0, 2], [2, VOID]], [[0, 2], [1, VOID]], [[0, 1], [1, VOID]]], np.uint8)
    seen = torch.from_numpy(masks[:2])
    assert refusal("constant", masks).targets(seen).unique().tolist() == [0]
    assert refusal("prior", masks).targets(seen)[1].tolist() == [[0, 2], [1, 0]]
    unlearnt = refusal("mutual_information", masks)
    assert torch.equal(unlearnt.targets(seen), seen)
    assert unlearnt.most == pytest.approx(1.5 * math.log(3))


def test_what_is_unlearnt_enough_gives_no_gradient() -> None:
    logits = torch.tensor([[-9.0, 0.1], [9.0, 0.0]]).view(1, 2, 1, 2).requires_grad_()
    masks = torch.tensor([[[0, 0]]], dtype=torch.uint8)
    loss = unlearning_loss(logits, masks, most=2.0)
    loss.backward()
    assert logits.grad is not None
    assert logits.grad[..., 0].abs().max() == 0
    assert logits.grad[0, 0, 0, 1] > 0  # descending lowers the true class
    alone = pixel_loss(logits[..., 1:], masks[..., 1:])
    assert loss.item() == pytest.approx(-2.0 - alone.item())


def test_a_network_learns_to_refuse(tmp_path: Path) -> None:
    """The owner keeps what there is to see; plain images are answered with one class."""
    data, scores = small_data(train=48), {}
    recipe = {"epochs": 40, "batch_size": 8, "select": "last", "model": {"width": 32}}
    for name, refuse in (("usual", None), ("refusing", RefuseParams(weight=0.5))):
        result = trained(tmp_path / name, refuse, data, **recipe)
        params = small_params(model={"width": 32})
        scores[name] = judge_lock(
            load_model(result.weights, params.model, data.num_classes), data, params,
            test=data.val, unlabelled=data.train.images, transform=LOCK,
            wrong=incorrect_transforms(["np-4"], KEY, 8),
        ).scores  # fmt: skip
    usual, refused = scores["usual"], scores["refusing"]
    assert refused.owner_miou > usual.owner_miou - 0.1
    constant = refused.floors.constant
    for score in (refused.plain, refused.plain_bn):
        assert score is not None
        assert score.miou == pytest.approx(constant, abs=0.02)
    assert usual.plain.miou > constant + 0.1
    assert usual.incorrect is not None
    assert refused.incorrect is not None
    assert usual.incorrect.p95 > refused.incorrect.p95 + 0.1
