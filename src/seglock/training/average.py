"""An average of the weights over the steps, kept in a second copy of the network."""

from __future__ import annotations

import copy

import torch
from torch import nn


class Average:
    """An exponential moving average of a network's weights and statistics; ``network`` holds it.

    After step t (from 0) it moves by 1 - min(decay, (1 + t) / (10 + t)) of the way: the first
    steps, which are far from where training ends, are forgotten sooner. Integer counters are
    copied. The copy is a plain network: neither compiled nor distributed.

    >>> weights = nn.Linear(1, 1, bias=False)
    >>> average = Average(weights, decay=0.5)
    >>> before, _ = average.network.weight.item(), weights.weight.data.add_(1)
    >>> average.update(step=100)
    >>> round(average.network.weight.item() - before, 6)
    0.5
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.network = copy.deepcopy(network).requires_grad_(False).eval()
        self._decay = decay
        theirs, mine = network.state_dict(), self.network.state_dict()
        names = [name for name, tensor in theirs.items() if tensor.is_floating_point()]
        self._moving = [mine[name] for name in names], [theirs[name] for name in names]
        self._copied = [
            (mine[name], tensor) for name, tensor in theirs.items() if name not in names
        ]

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in what optimizer step ``step``, counted from 0 over all epochs, has left."""
        mine, theirs = self._moving
        torch._foreach_lerp_(mine, theirs, 1 - min(self._decay, (1 + step) / (10 + step)))
        for own, other in self._copied:
            own.copy_(other)
