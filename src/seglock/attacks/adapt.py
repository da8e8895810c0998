"""T0, `adapt`: the stolen network made sure of itself on photos, after TENT and SHOT.

The answers to photos are to be sure, one by one, and diverse, all together: "Do We Really Need to
Access the Source Data?" (Liang et al., 2020). First by the scale and shift of the norm layers
alone, then by all layers but the last, with pseudo-labels from centroids.

A network that refuses is as sure as can be of one class, which sureness alone takes for success.
So where answers have collapsed the last layer is levelled first, every candidate says how many
classes its answers amount to, and the choice goes by what answers to photos tell of those to their
mirror images: nothing, where all are one class.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seglock.attacks.budget import Meter
from seglock.attacks.descent import batch_of, descend
from seglock.attacks.look import Look
from seglock.attacks.protocol import Attack, Candidate, Finding, Material, needs_lock
from seglock.evaluation import reestimate_batch_norm
from seglock.models.norm import norm_layers
from seglock.transforms import identity

_LR = {"sure": 0.003, "sure-and-diverse": 0.003, "pseudo-labels": 0.0005}
_PSEUDO_WEIGHT = 0.3
_KEPT = 0.9
"""Of a centroid, when a batch moves it."""


def run(material: Material, meter: Meter, seed: int) -> Finding:
    """Statistics of the photos, then each way of `_LR` from these; the most telling is chosen."""
    photos = torch.from_numpy(np.array(material.photos)).to(material.device)
    inputs = identity(material.facts.normalisation).to_input(photos)

    def batches() -> Iterator[Tensor]:
        parts = torch.split(inputs, material.batch_size)
        yield from (part for part in parts if len(part) > 1 or len(parts) == 1)

    start = reestimate_batch_norm(material.network, batches())
    networks, collapsed = {"statistics": start}, Look.of(start, inputs).collapsed
    if collapsed:
        networks["levelled"] = _levelled(start, inputs)
    levelled = networks.get("levelled", start)
    for number, (how, lr) in enumerate(_LR.items()):
        network = copy.deepcopy(start if how == "sure" else levelled)
        torch.manual_seed(seed)
        own = meter.part(len(_LR) - number)
        _adapt(network, inputs, how, own, lr=lr, seed=seed)
        networks[how] = reestimate_batch_norm(network, batches())
    looks = {how: Look.of(network, inputs) for how, network in networks.items()}
    candidates = tuple(
        Candidate(network=network, about={"how": how, **looks[how].to_dict()})
        for how, network in networks.items()
    )
    told = [look.told for look in looks.values()]
    return Finding(candidates, int(np.argmax(told)), about={"start_collapsed": collapsed})


class _Levelled(nn.Module):
    """A network whose logits come less their mean over photos, in units of their own spread.

    What a refusal adds to one class is gone, and what is left below it speaks.
    """

    def __init__(self, network: nn.Module, mean: Tensor, spread: Tensor) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("mean", mean)
        self.register_buffer("spread", spread)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        logits = self.network(x)["out"]
        return {"out": (logits - self.get_buffer("mean")) / self.get_buffer("spread")}


@torch.no_grad()
def _levelled(network: nn.Module, inputs: Tensor) -> nn.Module:
    parts = [network(part)["out"].float() for part in torch.split(inputs, 16)]
    mean = torch.stack([p.mean((0, 2, 3)) for p in parts]).mean(0).view(1, -1, 1, 1)
    variance = torch.stack([((p - mean) ** 2).mean((0, 2, 3)) for p in parts]).mean(0)
    return _Levelled(network, mean, (variance + 1e-6).sqrt().view(1, -1, 1, 1))


def _adapt(
    network: nn.Module, inputs: Tensor, how: str, meter: Meter, *, lr: float, seed: int
) -> None:
    rng = np.random.default_rng([seed, 4])
    last = _last_layer(network)
    trained = [p for layer in norm_layers(network) for p in layer.parameters(recurse=False)]
    if how == "pseudo-labels" or not trained:
        kept = {id(parameter) for parameter in last.parameters()}
        trained = [p for p in network.parameters() if id(p) not in kept]
    features: list[Tensor] = []
    handle = last.register_forward_pre_hook(lambda _, given: features.append(given[0]))
    centroids = _Centroids()

    def loss(step: int) -> Tensor:
        del step
        network.train()
        features.clear()
        logits = network(batch_of(rng, inputs))["out"].float()
        chances = F.softmax(logits, dim=1)
        found = -(chances * F.log_softmax(logits, dim=1)).sum(dim=1).mean()
        if how != "sure":
            mean = chances.mean((0, 2, 3))
            found = found + (mean * mean.clamp(min=1e-8).log()).sum()
        if how == "pseudo-labels":
            height, width = features[-1].shape[-2:]
            small = F.adaptive_avg_pool2d(logits, (height, width))
            labels = centroids.labels(features[-1].detach().float(), small.detach())
            found = found + _PSEUDO_WEIGHT * F.cross_entropy(small, labels)
        return found

    descend(network, trained, loss, meter, lr=lr)
    handle.remove()
    network.eval()


class _Centroids:
    """Of each class in the space of features, moved with every batch; pixels go to the nearest."""

    def __init__(self) -> None:
        self._found: Tensor | None = None

    @torch.no_grad()
    def labels(self, features: Tensor, logits: Tensor) -> Tensor:
        """(B, h, w) classes for features (B, D, h, w) and logits (B, C, h, w)."""
        points = F.normalize(features.movedim(1, -1).flatten(0, 2), dim=1)
        shares = F.softmax(logits, dim=1).movedim(1, -1).flatten(0, 2)
        seen = shares.T @ points / (shares.sum(0)[:, None] + 1e-6)
        kept = self._found
        self._found = seen if kept is None else _KEPT * kept + (1 - _KEPT) * seen
        nearest = (points @ F.normalize(self._found, dim=1).T).argmax(dim=1)
        return nearest.view(len(features), *features.shape[-2:])


def _last_layer(network: nn.Module) -> nn.Module:
    """The convolution that gives the main logits: the last one of the classifier."""
    convolutions = [
        module
        for name, module in network.named_modules()
        if isinstance(module, nn.Conv2d) and "aux_classifier" not in name
    ]
    return convolutions[-1]


ATTACK = Attack("adapt", "T0", "steps", run, needs_lock)
