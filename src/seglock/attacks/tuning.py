"""Training on a thief's few labelled images: the part that all attacks with gradients share."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seglock.attacks.budget import Meter
from seglock.attacks.protocol import Material
from seglock.config import TrainParams
from seglock.data import VOID
from seglock.training.optimizer import Optimizer

BATCH = 16
_HELD_OUT = 5
_CHECKS = 10
_STARTED = 5
Gradients = Callable[[nn.Module, Tensor, Tensor], None]
"""Adds up the gradients of a step's loss: of a network, inputs (B, 3, S, S) and masks (B, S, S)."""


@dataclass(frozen=True)
class Fitted:
    """A state of a network, and what it is worth.

    loss: cross-entropy per labelled pixel of the images held out; lr and steps: the learning rate,
    and how many steps led to the state.
    """

    loss: float
    state: dict[str, Tensor]
    lr: float = 0.0
    steps: int = 0


def plainly(network: nn.Module, images: Tensor, masks: Tensor) -> None:
    """The gradients of cross-entropy."""
    loss = F.cross_entropy(network(images)["out"], masks.long(), ignore_index=VOID)
    loss.backward()  # type: ignore[no-untyped-call]


def fit(
    network: nn.Module,
    trained: Iterable[nn.Parameter],
    images: Tensor,
    masks: Tensor,
    *,
    lr: float,
    seed: int,
    meter: Meter,
    gradients: Gradients = plainly,
) -> Fitted:
    """Train some parameters of a network by AdamW until ``meter`` is spent; its best state.

    images: (N, 3, S, S) float inputs; masks (N, S, S) uint8. The state that does best on the
    labels held out is the one, and is the network's at the end: nothing else is looked at. At least
    one step is taken.
    """
    train_only(network, trained)
    held, judged = _held_out(images)
    optimizer = Optimizer(network, TrainParams(optimizer="adamw", weight_decay=1e-4))
    rng = np.random.default_rng([seed, 2])
    best, checked = Fitted(math.inf, {}, lr), 0.0
    while True:
        network.train()
        gradients(network, *drawn(rng, images[~held], masks[~held]))
        # The rate follows the steps, unless time will end them: a training that time ends has come
        # down as well, and one that it does not end is the same on every machine. The first steps,
        # which start things up, say nothing of it.
        steps = meter.queries / meter.budget.queries
        optimizer.step(lr * rate(steps if meter.queries < _STARTED else meter.share))
        meter.spend()
        spent = meter.share
        if spent >= 1 or spent >= checked + 1 / _CHECKS:
            checked, now = spent, loss_of(network, images[judged], masks[judged])
            if not best.state or now < best.loss:
                best = Fitted(now, _state(network), lr, meter.queries)
        if spent >= 1:
            break
    network.load_state_dict(best.state)
    network.eval()
    return best


def train_only(network: nn.Module, trained: Iterable[nn.Parameter]) -> None:
    """Have gradients of these parameters of a network, and of no others."""
    chosen = set(map(id, trained))
    for parameter in network.parameters():
        parameter.requires_grad_(id(parameter) in chosen)


def untouched(network: nn.Module, images: Tensor, masks: Tensor) -> Fitted:
    """The state that a network is in, judged as `fit` does."""
    judged = _held_out(images)[1]
    return Fitted(loss_of(network, images[judged], masks[judged]), _state(network))


def _held_out(images: Tensor) -> tuple[Tensor, Tensor]:
    """Which images are not trained on, every fifth where there are as many, and which are judged:
    the same ones, or all."""
    held = torch.zeros(len(images), dtype=torch.bool, device=images.device)
    if len(images) >= _HELD_OUT:
        held[::_HELD_OUT] = True
    return held, held if held.any() else ~held


@torch.inference_mode()
def loss_of(network: nn.Module, images: Tensor, masks: Tensor) -> float:
    """Cross-entropy per labelled pixel, in eval mode; infinite where it is not a number."""
    network.eval()
    total, pixels = 0.0, 0
    for some, target in zip(torch.split(images, BATCH), torch.split(masks, BATCH), strict=True):
        logits = network(some)["out"].float()
        total += float(F.cross_entropy(logits, target.long(), ignore_index=VOID, reduction="sum"))
        pixels += int((target != VOID).sum())
    return math.inf if math.isnan(total) else total / max(1, pixels)


def without_theft(material: Material) -> nn.Module:
    """The network as the thief would have it without the theft: with published weights where the
    owner began with some, else untrained."""
    twin = copy.deepcopy(material.public or material.network)
    for module in () if material.public else twin.modules():
        reset: Callable[[], None] | None = getattr(module, "reset_parameters", None)
        if reset is not None:
            reset()
    return twin


def rate(spent: float) -> float:
    """Up over the first tenth, down along a cosine: a factor, 0 to 1, for 0 to 1 ``spent``."""
    if spent < 0.1:
        return 0.1 + 9 * spent
    return float((1 + np.cos(np.pi * (spent - 0.1) / 0.9)) / 2)


def drawn(rng: np.random.Generator, images: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
    """A batch, each image mirrored half of the time; two images at least, for batch norm."""
    numbers = rng.choice(len(images), max(2, min(BATCH, len(images))), replace=len(images) < 2)
    chosen = torch.from_numpy(numbers).to(images.device)
    mirrored = torch.from_numpy(rng.random(len(chosen)) < 0.5).to(images.device)
    some, target = images[chosen], masks[chosen]
    some = torch.where(mirrored.view(-1, 1, 1, 1), some.flip(-1), some)
    return some, torch.where(mirrored.view(-1, 1, 1), target.flip(-1), target)


def _state(network: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}
