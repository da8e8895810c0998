"""Training as it runs on a CUDA device: ``make test-gpu``."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch._dynamo.utils import counters

from seglock.config import TrainParams
from seglock.models import build_model
from seglock.tracking import MemoryTracker
from seglock.training import TrainResult, train
from seglock.training.distributed import World
from seglock.training.losses import Losses
from seglock.training.optimizer import Optimizer
from seglock.transforms import identity
from tests.training.small import largest_difference, small_data, small_job, small_params

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]
EVERYTHING = {
    "average": 0.9, "color_jitter": 0.4, "reestimate_batch_norm": True, "drop_last": False,
}  # fmt: skip


def run(folder: Path, train_images: int = 12, **recipe: Any) -> TrainResult:
    job = small_job(folder, small_params(device="cuda", **recipe), data=small_data(train_images))
    return train(job, tracker=MemoryTracker(), progress=False)


def test_bf16_and_compile_learn(tmp_path: Path) -> None:
    recipe = {"epochs": 8, "batch_size": 5, "crop_scale": [0.9, 1.0]} | EVERYTHING
    result = run(tmp_path, 64, **recipe)
    losses = [row["train_loss"] for row in result.history]
    assert losses[-1] < 0.7 * losses[0]
    assert result.val_miou > 0.7
    assert result.device.startswith("cuda")


def test_locks_share_one_compilation(tmp_path: Path) -> None:
    torch._dynamo.reset()
    counters.clear()
    run(tmp_path / "locked", batch_size=5, **EVERYTHING)
    params = small_params(device="cuda", batch_size=5, **EVERYTHING)
    plain = small_job(tmp_path / "plain", params, transform=identity())
    train(plain, tracker=MemoryTracker(), progress=False)
    assert counters["stats"]["unique_graphs"] == 1


def test_streamed_data_gives_the_same_training(tmp_path: Path) -> None:
    """But for the order in which a GPU adds."""
    exact = {"model": {"norm": "group"}, "lr": 0.02, "precision": "float32", "compile": False}
    resident, streamed = (
        run(tmp_path / str(on_device), data_on_device=on_device, **exact)
        for on_device in (True, False)
    )
    assert largest_difference(resident.weights, streamed.weights) < 1e-3
    for one, other in zip(resident.history, streamed.history, strict=True):
        assert one == pytest.approx(other, rel=1e-2)


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_updates_are_those_of_the_cpu(optimizer: str) -> None:
    recipe = TrainParams(optimizer=optimizer, lr=0.01, clip_grad_norm=1.0)  # type: ignore[arg-type]
    torch.manual_seed(0)
    cpu = build_model(small_params().model, 3)
    cuda = copy.deepcopy(cpu).cuda()
    for network in (cpu, cuda):
        update = Optimizer(network, recipe)
        for step in range(3):
            for parameter in network.parameters():
                parameter.grad = (parameter * (step + 1)).sin().detach()
            update.step(0.01)
    for one, other in zip(cpu.parameters(), cuda.parameters(), strict=True):
        torch.testing.assert_close(one, other.cpu(), rtol=1e-4, atol=1e-6)


def test_a_distributed_network_has_the_gradients_of_a_plain_one(tmp_path: Path) -> None:
    """SyncBatchNorm and NCCL, in a group of this process alone."""
    torch.manual_seed(0)
    device = torch.device("cuda", torch.cuda.current_device())
    plain = build_model(small_params().model, 3).to(device).train()
    twin = copy.deepcopy(plain)
    torch.distributed.init_process_group(
        "nccl", init_method=f"file://{tmp_path / 'meeting'}", rank=0, world_size=1
    )
    try:
        parallel = World(0, 2).parallel(Losses(twin), device)  # 2: as if there were another
        assert any(isinstance(m, torch.nn.SyncBatchNorm) for m in parallel.modules())
        images = torch.randn(4, 3, 16, 16, device=device)
        masks = torch.randint(0, 3, (4, 16, 16), dtype=torch.uint8, device=device)
        for network in (Losses(plain), parallel):
            network(images, masks)["out"].backward()
    finally:
        torch.distributed.destroy_process_group()
    for one, other in zip(plain.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad, rtol=1e-3, atol=1e-2)
