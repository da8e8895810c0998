"""The loop learns, repeats itself, keeps the right epoch, and stops where it must."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from seglock.data import PreparedData, Split
from seglock.errors import ModelError, TrainingError
from seglock.models import (
    build_model,
    fetch_weights,
    load_weights,
    read_metadata,
    save_weights,
)
from seglock.tracking import MemoryTracker
from seglock.training import EpochRow, TrainResult, train
from seglock.transforms import identity
from tests.training.small import (
    digest_of,
    largest_difference,
    small_data,
    small_job,
    small_params,
)


def run(folder: Path, tracker: MemoryTracker | None = None, **changes: object) -> TrainResult:
    params = small_params(**changes)  # type: ignore[arg-type]
    return train(small_job(folder, params), tracker=tracker or MemoryTracker(), progress=False)


def test_it_learns_and_records_each_epoch(tmp_path: Path) -> None:
    tracker = MemoryTracker()
    params = small_params(epochs=8, crop_scale=[0.9, 1.0])
    job = small_job(tmp_path, params, data=small_data(train=64))
    result = train(job, tracker=tracker, progress=False)
    assert [row["epoch"] for row in result.history] == list(range(1, 9))
    assert result.val_miou > 0.7
    assert result.history[-1]["train_loss"] < 0.7 * result.history[0]["train_loss"]
    assert [step for _, step in tracker.metrics] == list(range(1, 9))
    assert set(tracker.metrics[0][0]) == {"train/lr", "train/loss", "val/loss", "val/miou"}
    assert (result.device, result.resumed_from) == ("cpu", None)
    assert result.parameters > 1000
    assert result.seconds > 0


def test_a_seed_repeats_a_training_and_another_does_not(tmp_path: Path) -> None:
    first, again, other = (
        run(tmp_path / name, seed=seed) for name, seed in (("a", 1), ("b", 1), ("c", -2))
    )
    assert first.history == again.history
    assert digest_of(first.weights) == digest_of(again.weights) != digest_of(other.weights)


def test_training_leaves_torchs_generator_alone(tmp_path: Path) -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    run(tmp_path, epochs=1)
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize("select", ["val_loss", "val_miou", "last"])
def test_the_best_epoch_is_kept(tmp_path: Path, select: str) -> None:
    # A rate this high makes the curve jump, so that the last epoch is not always the best.
    result = run(tmp_path / "all", epochs=6, lr=0.5, schedule="constant", select=select)
    history = result.history
    best = {
        "val_loss": min(history, key=lambda row: row["val_loss"]),
        "val_miou": max(history, key=lambda row: row["val_miou"]),
        "last": history[-1],
    }[select]
    assert result.best_epoch == best["epoch"]
    assert (result.val_loss, result.val_miou) == (best["val_loss"], best["val_miou"])
    # With a constant rate the first epochs do not depend on how many follow.
    short = run(
        tmp_path / "short", epochs=best["epoch"], lr=0.5, schedule="constant", select="last"
    )
    assert digest_of(result.weights) == digest_of(short.weights)


def test_equal_epochs_keep_the_first(tmp_path: Path) -> None:
    frozen = {"model": {"norm": "frozen"}, "lr": 1e-30, "min_lr": 0.0}
    assert run(tmp_path, weight_decay=0.0, **frozen).best_epoch == 1


def test_loss_is_per_labelled_pixel_of_the_whole_batch(tmp_path: Path) -> None:
    """In parts, with unequal numbers of labelled pixels, it is the same training."""
    split = small_data().train
    masks = split.masks.copy()
    masks[::3, 4:] = 255
    data = dataclasses.replace(small_data(), train=dataclasses.replace(split, masks=masks))
    results = []
    for accumulate in (1, 2, 4):
        params = small_params(model={"norm": "group"}, accumulate=accumulate, lr=0.02, momentum=0.5)
        job = small_job(tmp_path / str(accumulate), params, data=data)
        results.append(train(job, tracker=MemoryTracker(), progress=False))
    whole, *parts = results
    for part in parts:
        assert largest_difference(whole.weights, part.weights) < 1e-5
        assert part.history[-1]["train_loss"] == pytest.approx(whole.history[-1]["train_loss"])


def test_streamed_data_gives_the_same_training(tmp_path: Path) -> None:
    resident = run(tmp_path / "a", data_on_device=True)
    streamed = run(tmp_path / "b", data_on_device=False)
    assert resident.history == streamed.history
    assert digest_of(resident.weights) == digest_of(streamed.weights)


def test_the_last_partial_batch_is_used_or_dropped(tmp_path: Path) -> None:
    dropped, used = (
        run(tmp_path / str(drop), batch_size=5, drop_last=drop) for drop in (True, False)
    )
    assert digest_of(dropped.weights) != digest_of(used.weights)


def test_more_images_a_batch_than_there_are_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        TrainingError, match=r"12 training images, train\.batch_size=13.*drop_last: false"
    ):
        run(tmp_path, batch_size=13)


def test_a_loss_that_is_not_finite_says_where_and_what_helps(tmp_path: Path) -> None:
    with pytest.raises(TrainingError) as caught:
        run(tmp_path, model={"norm": "frozen"}, lr=1e18, schedule="constant", epochs=4)
    message = str(caught.value)
    for part in ("epoch 1, step", "learning rate 1e+18", "lower train.lr", "clip_grad_norm"):
        assert part in message
    assert not list(tmp_path.glob("*.safetensors"))


def test_a_validation_loss_that_is_not_finite_stops_too(tmp_path: Path) -> None:
    # The only step of the epoch starts from good weights; what it leaves behind is not.
    with pytest.raises(TrainingError, match=r"validation loss must stay finite.*epoch 1, at"):
        run(tmp_path, model={"norm": "frozen"}, lr=1e30, schedule="constant", batch_size=12)


def test_a_validation_split_without_labels_is_refused(tmp_path: Path) -> None:
    data = small_data()
    void = Split("val", data.val.ids, data.val.images, np.full_like(data.val.masks, 255))
    job = small_job(tmp_path, data=dataclasses.replace(data, val=void))
    with pytest.raises(TrainingError, match="5 images without one"):
        train(job, tracker=MemoryTracker(), progress=False)


def test_what_on_epoch_raises_ends_the_training_after_its_checkpoint(tmp_path: Path) -> None:
    seen: list[EpochRow] = []

    def prune(row: EpochRow) -> None:
        seen.append(row)
        if row["epoch"] == 2:
            raise InterruptedError

    job = small_job(tmp_path / "pruned")
    with pytest.raises(InterruptedError):
        train(job, tracker=MemoryTracker(), progress=False, on_epoch=prune)
    result = train(job, tracker=MemoryTracker(), progress=False, on_epoch=seen.append)
    assert [row["epoch"] for row in seen] == [1, 2, 3]
    assert result.resumed_from == 2


def test_it_starts_from_the_initial_weights(tmp_path: Path) -> None:
    params = small_params(lr=1e-30, min_lr=0.0, weight_decay=0.0)
    torch.manual_seed(99)
    start = build_model(params.model, 3)
    save_weights(tmp_path / "start.safetensors", start)
    named = params.model.model_copy(update={"initial_weights": str(tmp_path / "start.safetensors")})
    fetch_weights(named, tmp_path / "weights")
    job = small_job(tmp_path / "run", params, weights=tmp_path / "weights")
    result = train(job, tracker=MemoryTracker(), progress=False)
    trained = build_model(params.model, 3)
    load_weights(result.weights, trained)
    for name, tensor in start.named_parameters():
        assert torch.allclose(tensor, trained.get_parameter(name), atol=1e-7)


def test_initial_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    other = small_params(model={"width": 4})
    save_weights(tmp_path / "start.safetensors", build_model(other.model, 3))
    named = other.model.model_copy(update={"initial_weights": str(tmp_path / "start.safetensors")})
    fetch_weights(named, tmp_path / "weights")
    job = small_job(tmp_path / "run", weights=tmp_path / "weights")
    with pytest.raises(ModelError, match="must fit the network"):
        train(job, tracker=MemoryTracker(), progress=False)


def test_metadata_goes_into_the_weights_file(tmp_path: Path) -> None:
    job = small_job(tmp_path, small_params(epochs=1), metadata={"lock": "np-4", "nonce": "ab"})
    weights = train(job, tracker=MemoryTracker(), progress=False).weights
    about = read_metadata(weights)
    assert (about["lock"], about["nonce"]) == ("np-4", "ab")


def test_the_lock_matters(tmp_path: Path) -> None:
    """The network sees encrypted images: another transform, another training."""
    locked = run(tmp_path / "locked")
    plain = train(
        small_job(tmp_path / "plain", transform=identity()), tracker=MemoryTracker(), progress=False
    )
    assert digest_of(locked.weights) != digest_of(plain.weights)
    assert math.isfinite(plain.val_loss)


def test_progress_is_one_line_an_epoch_without_a_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train(small_job(tmp_path), tracker=MemoryTracker())
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3
    assert lines[2].startswith("np-4  epoch 3/3  loss ")


def test_progress_is_a_bar_on_a_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "160")
    train(small_job(tmp_path), tracker=MemoryTracker())
    shown = capsys.readouterr().err
    assert "━" in shown
    assert "epoch 3/3" in shown
    assert "100%" in shown


def test_in_a_pipe_progress_is_a_line_an_epoch_with_the_time_left(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train(small_job(tmp_path), tracker=MemoryTracker())
    told = capsys.readouterr().err.splitlines()
    assert [line.split("  ")[1] for line in told] == ["epoch 1/3", "epoch 2/3", "epoch 3/3"]
    assert all("  mIoU 0." in line for line in told)
    assert told[-1].endswith("  0:00:00 left")


def test_all_arrays_may_be_memory_mapped(tmp_path: Path) -> None:
    data = small_data()
    for split in (data.train, data.val):
        np.save(tmp_path / f"{split.name}_i.npy", split.images)
        np.save(tmp_path / f"{split.name}_m.npy", split.masks)

    def mapped(split: Split) -> Split:
        images, masks = (
            np.load(tmp_path / f"{split.name}_{kind}.npy", mmap_mode="r") for kind in "im"
        )
        return Split(split.name, split.ids, images, masks)

    opened: PreparedData = dataclasses.replace(data, train=mapped(data.train), val=mapped(data.val))
    for on_device in (True, False):
        params = small_params(data_on_device=on_device)
        job = small_job(tmp_path / f"{on_device}", params, data=opened)
        result = train(job, tracker=MemoryTracker(), progress=False)
        assert result.history == run(tmp_path / f"memory-{on_device}").history
