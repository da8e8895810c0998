"""The functional updates are torch's own fused optimizers, bit for bit."""

from __future__ import annotations

import copy
import subprocess
import sys
from typing import Any

import pytest
import torch
from torch import nn

from seglock.config import TrainParams
from seglock.errors import TrainingError
from seglock.training.optimizer import Optimizer

CASES: list[dict[str, Any]] = [
    {"momentum": 0.9, "weight_decay": 0.01},
    {"momentum": 0.9, "nesterov": True},
    {"momentum": 0.0},
    {"optimizer": "adamw", "weight_decay": 0.1, "lr": 0.01},
    {"clip_grad_norm": 0.1},
]


def network() -> nn.Module:
    torch.manual_seed(0)
    made = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 2, 1))
    made[2].bias.requires_grad_(False)
    return made


def loss_of(model: nn.Module, seed: int) -> torch.Tensor:
    inputs = torch.randn(2, 3, 6, 6, generator=torch.Generator().manual_seed(seed))
    return model(inputs).square().sum()


def torchs(model: nn.Module, recipe: TrainParams, *, fused: bool) -> torch.optim.Optimizer:
    trained = [p for p in model.parameters() if p.requires_grad]
    if recipe.optimizer == "adamw":
        return torch.optim.AdamW(
            trained, lr=recipe.lr, weight_decay=recipe.weight_decay, fused=fused
        )
    return torch.optim.SGD(
        trained, lr=recipe.lr, momentum=recipe.momentum, nesterov=recipe.nesterov,
        weight_decay=recipe.weight_decay, fused=fused,
    )  # fmt: skip


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_updates_are_torchs_and_go_on_from_a_saved_state(case: dict[str, Any], fused: bool) -> None:
    recipe = TrainParams(**{"lr": 0.05, "min_lr": 0.0} | case)
    ours, theirs = network(), network()
    optimizer, reference = Optimizer(ours, recipe), torchs(theirs, recipe, fused=fused)
    for seed in range(6):
        lr = recipe.lr / (seed + 1)
        loss_of(ours, seed).backward()
        optimizer.step(lr)
        reference.zero_grad()
        loss_of(theirs, seed).backward()
        if recipe.clip_grad_norm:
            nn.utils.clip_grad_norm_(theirs.parameters(), recipe.clip_grad_norm)
        reference.param_groups[0]["lr"] = lr
        reference.step()
        if seed == 2:  # as a killed process goes on
            saved = {name: tensor.clone() for name, tensor in optimizer.state().items()}
            ours = copy.deepcopy(ours)
            optimizer = Optimizer(ours, recipe)
            optimizer.load(saved)
    for one, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        if fused:
            assert torch.equal(one, other)
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-7)


def test_the_state_of_another_optimizer_is_refused() -> None:
    state = Optimizer(network(), TrainParams()).state()
    with pytest.raises(TrainingError, match="3 tensors instead of 9"):
        Optimizer(network(), TrainParams(optimizer="adamw")).load(state)


def test_a_step_does_not_import_torchs_compiler() -> None:
    """It would cost every lock of the pipeline seconds."""
    code = (
        "import sys, torch; from seglock.config import TrainParams;"
        "from seglock.training.optimizer import Optimizer;"
        "net = torch.nn.Linear(2, 1);"
        "net(torch.ones(1, 2)).sum().backward();"
        "[Optimizer(net, TrainParams(optimizer=o)).step(0.1) for o in ('sgd', 'adamw')];"
        "print('torch._dynamo' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], text=True, capture_output=True, check=True)
    assert done.stdout.strip() == "False"
