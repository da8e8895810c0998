"""Averaged weights and new statistics: what is validated is what is kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from seglock.evaluation import confusion_matrix, mean_iou, reestimate_batch_norm
from seglock.models import build_model, load_weights, read_weights
from seglock.tracking import MemoryTracker
from seglock.training import TrainResult, train
from seglock.training.average import Average
from tests.training.small import digest_of, small_data, small_job, small_params

AVERAGED = {"average": 0.9, "color_jitter": 0.4}
ALL = AVERAGED | {"reestimate_batch_norm": True}


def run(folder: Path, **recipe: Any) -> TrainResult:
    return train(small_job(folder, small_params(**recipe)), tracker=MemoryTracker(), progress=False)


def loaded(result: TrainResult, **recipe: Any) -> nn.Module:
    network = build_model(small_params(**recipe).model, 3)
    load_weights(result.weights, network)
    return network.eval()


def test_an_average_is_the_weighted_sum_of_what_it_saw() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    average = Average(network, decay=0.6)
    expected = {n: t.double().clone() for n, t in network.state_dict().items()}
    for step in range(12):
        network.train()(torch.randn(2, 3, 8, 8))
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.add_(torch.randn_like(parameter))
        average.update(step)
        decay = min(0.6, (1 + step) / (10 + step))
        for name, tensor in network.state_dict().items():
            expected[name] = decay * expected[name] + (1 - decay) * tensor.double()
    found = dict(average.network.state_dict())
    assert int(found.pop("1.num_batches_tracked")) == 12
    for name, tensor in found.items():
        torch.testing.assert_close(tensor.double(), expected[name], rtol=1e-5, atol=1e-6)
    assert not average.network.training
    assert not any(p.requires_grad for p in average.network.parameters())


@pytest.mark.parametrize("recipe", [{}, AVERAGED, {"reestimate_batch_norm": True}, ALL], ids=str)
@pytest.mark.parametrize("select", ["val_loss", "last"])
def test_the_figures_are_of_the_kept_weights(
    tmp_path: Path, recipe: dict[str, Any], select: str
) -> None:
    job = small_job(tmp_path, small_params(epochs=4, lr=0.3, select=select, **recipe))
    result = train(job, tracker=MemoryTracker(), progress=False)
    network, val = loaded(result), job.data.val
    masks = torch.from_numpy(val.masks)
    with torch.no_grad():
        logits = network(job.transform.to_input(torch.from_numpy(val.images)))["out"]
    loss = nn.functional.cross_entropy(logits, masks.long(), ignore_index=255)
    assert result.val_loss == pytest.approx(float(loss), rel=1e-5)
    miou = mean_iou(confusion_matrix(logits.argmax(1), masks, 3))
    assert result.val_miou == pytest.approx(miou, rel=1e-9)
    row = result.history[result.best_epoch - 1]
    assert (row["val_loss"] == result.val_loss) == (not recipe.get("reestimate_batch_norm"))


def test_averaging_changes_what_is_kept_and_not_the_training(tmp_path: Path) -> None:
    usual = run(tmp_path / "usual", select="last")
    averaged = run(tmp_path / "averaged", select="last", average=0.9)
    assert digest_of(usual.weights) != digest_of(averaged.weights)
    for one, other in zip(usual.history, averaged.history, strict=True):
        assert one["train_loss"] == other["train_loss"]
        assert one["val_loss"] != other["val_loss"]


def test_new_statistics_are_those_of_whole_locked_training_images(tmp_path: Path) -> None:
    """Only they change, and they are what one pass over all images gives."""
    usual = run(tmp_path / "usual", batch_size=12)
    renewed = run(tmp_path / "renewed", batch_size=12, reestimate_batch_norm=True)
    job = small_job(tmp_path)
    inputs = job.transform.to_input(torch.from_numpy(small_data().train.images))
    expected = reestimate_batch_norm(loaded(usual), [inputs]).state_dict()
    before, after = read_weights(usual.weights), read_weights(renewed.weights)
    assert before.keys() == after.keys() == expected.keys()
    for name, tensor in after.items():
        if "num_batches" not in name:
            assert torch.equal(tensor, before[name]) == ("running" not in name)
        torch.testing.assert_close(tensor, expected[name])


def test_all_images_count_in_batches_of_nearly_equal_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []

    def seen(network: nn.Module, inputs: Any, *plans: Any) -> nn.Module:
        batches = list(inputs)
        sizes.extend(map(len, batches))
        return reestimate_batch_norm(network, batches, *plans)

    monkeypatch.setattr("seglock.training.epoch.reestimate_batch_norm", seen)
    run(tmp_path, batch_size=5, accumulate=1, epochs=1, reestimate_batch_norm=True)
    assert sizes == [4, 4, 4]


def test_colours_are_part_of_the_training(tmp_path: Path) -> None:
    usual = run(tmp_path / "usual", epochs=1)
    strong, again = (run(tmp_path / n, epochs=1, color_jitter=0.8) for n in ("strong", "again"))
    assert digest_of(usual.weights) != digest_of(strong.weights) == digest_of(again.weights)
