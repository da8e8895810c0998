"""How well a guess suits the network, without labels and with them; the lower the better."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm

from seglock.data import VOID

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch.utils.hooks import RemovableHandle


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


def cross_entropy(masks: Tensor) -> Callable[[Tensor, int], Tensor]:
    """The score of guesses by labels (B, H, W): cross-entropy per labelled pixel."""

    def score(logits: Tensor, guesses: int) -> Tensor:
        target = masks.long().repeat(guesses, 1, 1)
        losses = F.cross_entropy(logits.float(), target, ignore_index=VOID, reduction="none")
        return losses.view(guesses, -1).sum(dim=1) / (masks != VOID).sum().clamp(min=1)

    return score


class Statistics:
    """Listens to a network's batch norm: how far its inputs are from those of its training.

    The measure is the divergence of normal distributions, channel by channel, averaged over
    channels and layers: 0 for the images it was trained on. Networks without running statistics
    (group norm) tell nothing: ``heard`` stays False.
    """

    def __init__(self, network: nn.Module) -> None:
        self._network = network
        self._handles: list[RemovableHandle] = []
        self._layers: list[Tensor] = []
        self.guesses = 1

    def __enter__(self) -> Self:
        for module in self._network.modules():
            known = getattr(module, "running_mean", None)
            if isinstance(module, _BatchNorm) or known is not None:
                self._handles.append(module.register_forward_pre_hook(self._hear))
        return self

    def __exit__(self, *_: object) -> None:
        for handle in self._handles:
            handle.remove()

    @property
    def heard(self) -> bool:
        """Whether the network has statistics to be compared with."""
        return bool(self._handles)

    def divergence(self) -> Tensor:
        """What was heard since the last call, (K,)."""
        found = torch.stack(self._layers).mean(dim=0)
        self._layers.clear()
        return found

    def _hear(self, module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        values = inputs[0].float()
        values = values.view(self.guesses, -1, *values.shape[1:])
        axes = (1, 3, 4)
        mean, variance = values.mean(dim=axes), values.var(dim=axes, unbiased=False)
        usual, spread = module.running_mean, module.running_var
        assert isinstance(usual, Tensor)
        assert isinstance(spread, Tensor)
        ratio = (variance + 1e-5) / (spread + 1e-5)
        apart = ratio - ratio.log() - 1 + (mean - usual) ** 2 / (spread + 1e-5)
        # One wild channel must not drown the others.
        self._layers.append((apart / 2).clamp(max=10).mean(dim=1))
