"""What a thief without labels goes by: how much at home the network is under a guess.

Every signal is the lower the better.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seglock.attacks.guesses import inputs_of
from seglock.attacks.protocol import Material
from seglock.evaluation.tally import spread
from seglock.transforms.plan import Plan

PHOTOS = 16
_WEIGHTS = {"statistics": 1.0, "entropy": 0.3, "flips": 0.3}
"""Batch-norm statistics tell most: entropy and flips are low, too, for a network that is surely
wrong, and only settle what statistics leave open."""


class Signals:
    """The three signals of guesses on some photos, each beside its size for ``usual`` guesses."""

    def __init__(self, material: Material, usual: Sequence[Plan]) -> None:
        photos = material.photos
        images = photos[list(spread(len(photos), PHOTOS, middle=False))]
        self._straight = torch.from_numpy(images).to(material.device)
        self._mirrored = self._straight.flip(-1)
        self._facts, self._network = material.facts, material.network
        self._at_once = max(1, material.batch_size // len(images))
        sizes = self._signals(usual)
        self._usual = {name: float(values.mean()) or 1.0 for name, values in sizes.items()}

    def __call__(self, guesses: Sequence[Plan]) -> Tensor:
        """The weighted signals of each guess, (K,): about 1.6 for usual ones."""
        found = self._signals(guesses)
        total = sum(_WEIGHTS[name] * found[name] / self._usual[name] for name in found)
        assert isinstance(total, Tensor)
        return total.cpu()

    def _signals(self, guesses: Sequence[Plan]) -> dict[str, Tensor]:
        parts = [
            self._measure(guesses[i : i + self._at_once])
            for i in range(0, len(guesses), self._at_once)
        ]
        return {name: torch.cat([part[name] for part in parts]).double() for name in parts[0]}

    @torch.inference_mode()
    def _measure(self, guesses: Sequence[Plan]) -> dict[str, Tensor]:
        found, count = {}, len(guesses)
        with divergences(self._network, count) as layers:
            logits = self._network(inputs_of(guesses, self._straight, self._facts))["out"]
        if layers:
            found["statistics"] = torch.stack(layers).mean(dim=0)
        mirrored = self._network(inputs_of(guesses, self._mirrored, self._facts))["out"]
        found["entropy"] = entropy(logits, count)
        found["flips"] = disagreement(logits, mirrored, count)
        return found


def entropy(logits: Tensor, guesses: int) -> Tensor:
    """Mean entropy of the predictions in nats, (K,): a network in its element is sure of itself."""
    logs = F.log_softmax(logits.float(), dim=1)
    spread = -(logs.exp() * logs).sum(dim=1)
    return spread.view(guesses, -1).mean(dim=1)


def disagreement(logits: Tensor, mirrored: Tensor, guesses: int) -> Tensor:
    """How far the predictions for mirrored photos are from mirrored predictions, 0 to 2, (K,)."""
    straight, other = (F.softmax(some.float(), dim=1) for some in (logits, mirrored))
    apart = (straight - other.flip(-1)).abs().sum(dim=1)
    return apart.view(guesses, -1).mean(dim=1)


@contextlib.contextmanager
def divergences(network: nn.Module, guesses: int) -> Iterator[list[Tensor]]:
    """For each layer with batch norm that the network goes through in the block, (K,): how far its
    inputs are from those of its training.

    The measure is the divergence of normal distributions, averaged over channels: 0 for the images
    it was trained on. Layers without running statistics (group norm) tell nothing.
    """
    layers: list[Tensor] = []

    def hear(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        values = inputs[0].float()
        values = values.view(guesses, -1, *values.shape[1:])
        axes = (1, 3, 4)
        mean, variance = values.mean(dim=axes), values.var(dim=axes, unbiased=False)
        usual, spread = (module.get_buffer(f"running_{name}") for name in ("mean", "var"))
        ratio = (variance + 1e-5) / (spread + 1e-5)
        apart = ratio - ratio.log() - 1 + (mean - usual) ** 2 / (spread + 1e-5)
        # One wild channel must not drown the others.
        layers.append((apart / 2).clamp(max=10).mean(dim=1))

    known = [m for m in network.modules() if getattr(m, "running_mean", None) is not None]
    handles = [module.register_forward_pre_hook(hear) for module in known]
    try:
        yield layers
    finally:
        for handle in handles:
            handle.remove()
