"""Learnable layers before a frozen network: a map of blocks, a soft table and mask."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import numpy as np
import torch
from torch import Tensor, nn

from seglock.attacks.blocks import block_grid, grid_images
from seglock.attacks.guesses import touched
from seglock.methods import LEVELS
from seglock.transforms import INPUT_MEAN, INPUT_STD

if TYPE_CHECKING:
    from seglock.attacks.protocol import Facts
    from seglock.transforms.plan import Plan

_MASK_FASTER, _TABLE_FASTER = 10.0, 3.0


class Adapted(nn.Module):
    """An adapter before a frozen network, which stays in eval mode whatever happens."""

    def __init__(self, adapter: nn.Module, network: nn.Module) -> None:
        super().__init__()
        self.adapter = adapter
        self.network = network.eval()

    def train(self, mode: bool = True) -> Self:
        self.training = mode
        self.adapter.train(mode)
        return self

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        answer: dict[str, Tensor] = self.network(self.adapter(x))
        return answer


class BlockMap(nn.Module):
    """One n x n map and bias for all blocks; it begins as a guessed NP and SHF plan, or as none."""

    def __init__(self, facts: Facts, start: Plan | None = None) -> None:
        super().__init__()
        self._side = facts.block_size
        weight, bias = torch.eye(facts.positions), torch.zeros(facts.positions)
        if start is not None:
            # x -> (255 - x) / 255 of another channel, both in units of the network's input.
            sign = torch.from_numpy(1.0 - 2 * touched(start)).float()
            source = torch.from_numpy(start.permutation.astype(np.int64))
            mean, std = (
                torch.tensor(v).repeat(facts.positions // 3) for v in (INPUT_MEAN, INPUT_STD)
            )
            weight = weight[source] * (sign / std)[:, None] * std
            bias = (sign * mean[source] + (1 - sign) / 2 - mean) / std
        self.weight, self.bias = nn.Parameter(weight), nn.Parameter(bias)

    def forward(self, x: Tensor) -> Tensor:
        return grid_images(block_grid(x, self._side) @ self.weight.T + self.bias, self._side)


class SoftTable(nn.Module):
    """A 256-entry table mixed, position by position, with the value as it is.

    Both in units of the network's input before normalisation: 0 to 1, where a table leaves 0..255
    0 to 0.26 for plain values, divided as its own are. The mask's logits must move by whole units
    where the scale moves by hundredths: what is trained are fractions of them.
    """

    def __init__(self, facts: Facts) -> None:
        super().__init__()
        self._side = facts.block_size
        divisor = facts.ffx_divisor if facts.reach > LEVELS else None
        self._divided = (LEVELS - 1) / (divisor or facts.reach - 1)
        self.table = nn.Parameter(torch.linspace(0, self._divided, LEVELS) / _TABLE_FASTER)
        self.mask = nn.Parameter(torch.zeros(facts.positions))
        self.scale = nn.Parameter(torch.ones(()))
        channels = facts.positions // 3
        self.register_buffer("mean", torch.tensor(INPUT_MEAN).repeat(channels))
        self.register_buffer("std", torch.tensor(INPUT_STD).repeat(channels))

    def forward(self, x: Tensor) -> Tensor:
        mean, std = self.get_buffer("mean"), self.get_buffer("std")
        value = (block_grid(x, self._side) * std + mean).clamp(0, 1)
        level = (value * (LEVELS - 1)).round().long()
        hidden = torch.sigmoid(self.mask * _MASK_FASTER)
        usual = value * self.scale * self._divided
        mixed = hidden * self.table[level] * _TABLE_FASTER + (1 - hidden) * usual
        return grid_images((mixed - mean) / std, self._side)
