"""Training without labels: steps down a loss that an attack makes up, and what the loss is of."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from seglock.attacks.tuning import drawn, rate, train_only
from seglock.config import TrainParams
from seglock.methods import LEVELS
from seglock.training.optimizer import Optimizer

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from seglock.attacks.budget import Meter
    from seglock.attacks.protocol import Facts

_CLIP = 1.0


def descend(
    network: nn.Module,
    trained: Iterable[nn.Parameter],
    loss_of: Callable[[int], Tensor],
    meter: Meter,
    *,
    lr: float,
) -> None:
    """Take AdamW steps on some parameters of a network until the meter ends them; one at least.

    loss_of: the loss of step 0, 1, ..., a scalar with a gradient. The rate goes up, then down to
    0 with what is spent.
    """
    train_only(network, trained)
    optimizer = Optimizer(
        network, TrainParams(optimizer="adamw", weight_decay=1e-4, clip_grad_norm=_CLIP)
    )
    while True:
        spent = meter.queries / meter.budget.queries
        loss_of(meter.queries).backward()  # type: ignore[no-untyped-call]
        optimizer.step(lr * rate(max(spent, meter.share if meter.queries else 0.0)))
        meter.spend()
        if meter.exhausted:
            break


def batch_of(rng: np.random.Generator, inputs: Tensor) -> Tensor:
    """Some of inputs (N, 3, S, S), each mirrored half of the time; two at least, for batch norm."""
    return drawn(rng, inputs, inputs[:, 0])[0]


def seen_inputs(encrypted: NDArray[Any], facts: Facts, device: torch.device) -> Tensor:
    """What the network sees of ciphertexts (N, 3, S, S), uint8 or int16: float32 inputs.

    Where nobody told what FFX's values are divided by, it is the largest one seen.
    """
    top: int = LEVELS - 1
    if facts.reach > LEVELS:
        top = facts.ffx_divisor or max(top, int(encrypted.max()))
    mean, std = (torch.tensor(v, device=device).view(1, 3, 1, 1) for v in facts.normalisation)
    values = torch.from_numpy(np.array(encrypted)).to(device)
    return (values.float() / top - mean) / std
