"""The order of a permuted feature map, down the gradient of how much at home the network is."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from seglock.attacks.guesses import inputs_of
from seglock.attacks.relaxed import assigned, sinkhorn
from seglock.attacks.unlabelled import PHOTOS, divergences, entropy
from seglock.evaluation.tally import spread
from seglock.models import layers_of, permuted
from seglock.transforms import FeaturePlan, identity

if TYPE_CHECKING:
    from seglock.attacks.budget import Meter
    from seglock.attacks.protocol import Material
    from seglock.transforms.plan import Plan

_RATE = 0.1
_WEIGHTS = torch.tensor([1.0, 0.3])
"""Of the norms' statistics and of entropy, both of which are 1 for an order by chance."""


@dataclass(frozen=True)
class Presented:
    """Photos as the network gets them: encrypted where a thief knows how, else as they are."""

    material: Material
    plan: Plan | None = None

    def inputs(self, rows: np.ndarray | slice) -> Tensor:
        """Some of them, (B, 3, S, S) float32, on the network's device."""
        facts = self.material.facts
        photos = torch.from_numpy(np.array(self.material.photos[rows])).to(self.material.device)
        if self.plan is None:
            return identity(facts.normalisation).to_input(photos)
        return inputs_of([self.plan], photos, facts)


def improved(
    presented: Presented,
    layer: str,
    before: Sequence[FeaturePlan],
    order: Tensor,
    meter: Meter,
    share: int,
    seed: int,
) -> Tensor:
    """An order (C,), or what it becomes down the gradient where that is better; ``share`` steps.

    before: the orders found so far, of layers that come earlier.
    """
    rng, count = np.random.default_rng(seed), len(presented.material.photos)
    fixed = np.array(spread(count, PHOTOS, middle=False))
    weights = _WEIGHTS.to(presented.material.device)

    def strange(soft: Tensor, rows: np.ndarray) -> Tensor:
        return (weights * _signals(presented, layer, before, soft, rows) / usual).sum()

    def of_order(one: Tensor) -> float:
        with torch.no_grad():
            return float(strange(_matrix(one), fixed))

    with torch.no_grad():
        chance = torch.from_numpy(rng.permutation(len(order))).to(order.device)
        usual = _signals(presented, layer, before, _matrix(chance), fixed).clamp(min=1e-9)
    logits = _matrix(order).requires_grad_()
    optimizer = torch.optim.Adam([logits], lr=_RATE)
    end = max(0, meter.left - share)
    while meter.left > end:
        rows = rng.choice(count, min(PHOTOS, count), replace=False)
        (logits.grad,) = torch.autograd.grad(strange(sinkhorn(logits), rows), [logits])
        optimizer.step()
        meter.spend()
    return min(order, assigned(logits), key=of_order)


def _matrix(order: Tensor) -> Tensor:
    return F.one_hot(order, len(order)).float()


def _signals(
    presented: Presented,
    layer: str,
    before: Sequence[FeaturePlan],
    soft: Tensor,
    rows: np.ndarray,
) -> Tensor:
    """With the map in a soft order (C, C), for some photos: how far all norms are from what they
    remember, and the entropy of the answer, in nats, (2,)."""
    network = presented.material.network

    def mixed(_module: object, _inputs: object, output: Tensor) -> Tensor:
        return torch.einsum("ij,bjhw->bihw", soft.to(output), output)

    with contextlib.ExitStack() as stack:
        stack.enter_context(permuted(network, before))
        stack.callback(layers_of(network)[layer].register_forward_hook(mixed).remove)
        norms = stack.enter_context(divergences(network, 1))
        answer = network(presented.inputs(rows))["out"]
    return torch.cat([torch.stack(norms).mean(dim=0), entropy(answer, 1)])
