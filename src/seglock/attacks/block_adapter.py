"""T1, `block-adapter`: a learnable map of each block before the frozen network.

Linear with a bias, which holds every NP and SHF plan; for FFX a soft 256-entry table and a soft
mask. The network behind it stays as it was stolen, statistics included.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Self

import torch
from torch import Tensor, nn

from seglock.attacks.meter import Meter
from seglock.attacks.protocol import Attack, Facts, Finding, Material, needs_steps
from seglock.attacks.shares import over_shares
from seglock.transforms import INPUT_MEAN, INPUT_STD
from seglock.transforms.plan import LEVELS

POSITIONS_LIMIT = 3072
"""n x n weights for n = 3072 (M = 32) are 9.4 million; beyond, they outgrow the network."""
_LR = 0.01
_FFX_SCALE = 999.0


def why_not(facts: Facts) -> str | None:
    """Blocks too large for a map of all their positions."""
    if needs_steps(facts):
        return needs_steps(facts)
    if facts.methods != {"ffx"} and facts.positions > POSITIONS_LIMIT:
        return f"a map of {facts.positions} positions has {facts.positions**2} weights"
    return None


def run(material: Material, meter: Meter, seed: int) -> Finding:
    """One adapter for each share of labelled images, beside a network from scratch."""
    return over_shares(material, meter, seed, _adapted, lr=_LR)


def _adapted(material: Material) -> tuple[nn.Module, Iterable[nn.Parameter]]:
    facts, layers = material.facts, list[nn.Module]()
    if "ffx" in facts.methods:
        layers.append(SoftTable(facts))
    if facts.methods != {"ffx"}:
        layers.append(BlockMap(facts))
    network = Adapted(nn.Sequential(*layers), copy.deepcopy(material.network)).to(material.device)
    return network, network.adapter.parameters()


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


def to_rows(x: Tensor, m: int) -> Tensor:
    """(B, 3, H, W) -> (B, H / M, W / M, n), as the formula flattens a block."""
    count, _, height, width = x.shape
    split = x.reshape(count, 3, height // m, m, width // m, m).permute(0, 2, 4, 3, 5, 1)
    return split.reshape(count, height // m, width // m, -1)


def from_rows(rows: Tensor, m: int) -> Tensor:
    """The inverse of `to_rows`."""
    count, down, right, _ = rows.shape
    split = rows.reshape(count, down, right, m, m, 3).permute(0, 5, 1, 3, 2, 4)
    return split.reshape(count, 3, down * m, right * m)


class BlockMap(nn.Module):
    """One n x n map and bias for all blocks; it begins as the identity."""

    def __init__(self, facts: Facts) -> None:
        super().__init__()
        self._side = facts.block_size
        self.weight = nn.Parameter(torch.eye(facts.positions))
        self.bias = nn.Parameter(torch.zeros(facts.positions))

    def forward(self, x: Tensor) -> Tensor:
        return from_rows(to_rows(x, self._side) @ self.weight.T + self.bias, self._side)


class SoftTable(nn.Module):
    """A 256-entry table mixed, position by position, with the value as it is.

    Both in units of the network's input before normalisation: 0 to 1 for the table, 0 to 0.26 for
    plain values, divided by what FFX values are divided by.
    """

    def __init__(self, facts: Facts) -> None:
        super().__init__()
        self._side = facts.block_size
        scale = (LEVELS - 1) / (facts.ffx_divisor or _FFX_SCALE)
        self.table = nn.Parameter(torch.linspace(0, scale, LEVELS))
        self.mask = nn.Parameter(torch.zeros(facts.positions))
        self.scale = nn.Parameter(torch.tensor(scale))
        channels = facts.positions // 3
        self.register_buffer("mean", torch.tensor(INPUT_MEAN).repeat(channels))
        self.register_buffer("std", torch.tensor(INPUT_STD).repeat(channels))

    def forward(self, x: Tensor) -> Tensor:
        mean, std = self.get_buffer("mean"), self.get_buffer("std")
        value = (to_rows(x, self._side) * std + mean).clamp(0, 1)
        level = (value * (LEVELS - 1)).round().long()
        hidden = torch.sigmoid(self.mask)
        mixed = hidden * self.table[level] + (1 - hidden) * value * self.scale
        return from_rows((mixed - mean) / std, self._side)


ATTACK = Attack("block-adapter", "T1", "steps", run, why_not)
