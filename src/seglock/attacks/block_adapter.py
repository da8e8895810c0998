"""T1, `block-adapter`: a learnable map of each block before the frozen network.

Linear with a bias, which holds every NP and SHF plan; for other tables (FFX) a soft one of 256
entries and a soft mask. The network behind it stays as it was stolen, statistics included.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from functools import partial
from typing import Self

import numpy as np
import torch
from torch import Tensor, nn

from seglock.attacks.blocks import block_grid, grid_images
from seglock.attacks.budget import Meter
from seglock.attacks.by_labelled_share import over_shares
from seglock.attacks.climb import draw_best
from seglock.attacks.guesses import touched
from seglock.attacks.labels import by_labels, labelled
from seglock.attacks.protocol import Attack, Facts, Finding, Material, needs_steps
from seglock.attacks.tuning import loss_of
from seglock.methods import LEVELS
from seglock.transforms import identity
from seglock.transforms.plan import Plan
from seglock.transforms.sequence import public_tables

POSITIONS_LIMIT = 3072
"""n x n weights for n = 3072 (M = 32) are 9.4 million; beyond, they outgrow the network."""
_MAP_LR = 0.12
"""Times n ** -1/2: the more weights meet in one output, the less each may move."""
_TABLE_LR = 0.02
_START_SHARE = 0.05
_MASK_FASTER, _TABLE_FASTER = 10.0, 3.0


def why_not(facts: Facts) -> str | None:
    """Blocks too large for a map of all their positions."""
    if needs_steps(facts):
        return needs_steps(facts)
    if _is_linear(facts) and facts.positions > POSITIONS_LIMIT:
        return f"a map of {facts.positions} positions has {facts.positions**2} weights"
    return None


def run(material: Material, meter: Meter, seed: int) -> Finding:
    """One adapter for each share of labelled images, beside a network from scratch."""
    facts = material.facts
    lr = _MAP_LR / facts.positions**0.5 if _is_linear(facts) else _TABLE_LR
    return over_shares(material, meter, seed, partial(_adapted, meter, seed), lr=lr)


def _needs_table(facts: Facts) -> bool:
    """Whether a position may have a table that is no line."""
    known = public_tables(facts.steps, facts.ffx_password)
    steps = np.diff(known.astype(int), axis=1)
    return bool(facts.secret_tables or (steps != steps[:, :1]).any())


def _is_linear(facts: Facts) -> bool:
    """Whether a part of it is a linear map: values that move, or are negated."""
    return facts.shuffles or len(facts.substitutes) > 1 or not _needs_table(facts)


def _adapted(
    meter: Meter, seed: int, material: Material
) -> tuple[nn.Module, Iterable[nn.Parameter]]:
    facts, layers = material.facts, list[nn.Module]()
    if _needs_table(facts):
        layers.append(SoftTable(facts))
    if _is_linear(facts):
        layers.append(BlockMap(facts, guessed(material, meter, seed)))
    network = Adapted(nn.Sequential(*layers), copy.deepcopy(material.network)).to(material.device)
    return network, network.adapter.parameters()


def guessed(material: Material, meter: Meter, seed: int) -> Plan | None:
    """The best of a few random keys; None where plain images, as they are, do better."""
    if _needs_table(material.facts) or meter.exhausted:
        return None
    share = meter.share + _START_SHARE / len(meter.budget.labelled)
    judged = by_labels(material, 1.0)
    found = draw_best(material.facts, judged, meter, seed, share=share, at_once=1)
    images, masks = (torch.from_numpy(a).to(material.device) for a in labelled(material, 1.0))
    plain = identity(material.facts.normalisation).to_input(images)
    return found.plan if found.score < loss_of(material.network, plain, masks) else None


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
            mean, std = (torch.tensor(v).repeat(facts.positions // 3) for v in facts.normalisation)
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
        for name, values in facts.normalisation._asdict().items():
            self.register_buffer(name, torch.tensor(values).repeat(channels))

    def forward(self, x: Tensor) -> Tensor:
        mean, std = self.get_buffer("mean"), self.get_buffer("std")
        value = (block_grid(x, self._side) * std + mean).clamp(0, 1)
        level = (value * (LEVELS - 1)).round().long()
        hidden = torch.sigmoid(self.mask * _MASK_FASTER)
        usual = value * self.scale * self._divided
        mixed = hidden * self.table[level] * _TABLE_FASTER + (1 - hidden) * usual
        return grid_images((mixed - mean) / std, self._side)


ATTACK = Attack("block-adapter", "T1", "steps", run, why_not)
