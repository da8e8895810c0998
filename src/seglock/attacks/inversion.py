"""T0, `inversion`: images made to look to the network like those it was trained on, then read.

Batch norm remembers the mean and variance of every channel under the right key. Images are made
whose channels have these, and that the network answers surely and not all alike ("Dreaming to
Distill", Yin et al., 2020): they take on correlations between positions that ciphertexts have, and
give the plan away as those do.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seglock.attacks.blocks import block_grid, grid_images
from seglock.attacks.faint import climbed, natural, read_faint, settle, why_not
from seglock.attacks.guesses import guess
from seglock.attacks.protocol import Attack, Facts, Finding, Material
from seglock.attacks.shf_matching import statistics
from seglock.attacks.unlabelled import USUAL, Signals, divergences, entropy, permuted_layers
from seglock.config import TrainParams
from seglock.training.optimizer import Optimizer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from seglock.attacks.budget import Meter

_IMAGES = 32
_LR = 0.2
_SURE = 0.1
"""How much certainty counts, and a spread of answers over the classes: in nats, as all else."""
_FIELD = 16
"""Pixels from one value of the fields to the next that images begin as."""
_MADE_SHARE = 0.9


def run(material: Material, meter: Meter, seed: int) -> Finding:
    """Nine tenths of the steps make images; the rest settles what they leave open, and climbs."""
    facts, network = material.facts, material.network.requires_grad_(False)
    judged = Signals(material, [guess(facts, seed, number) for number in range(USUAL)])
    made = Made(facts, min(_IMAGES, material.batch_size), seed).to(material.device)
    optimizer = Optimizer(made, TrainParams(optimizer="adamw", weight_decay=0))
    until = permuted_layers(network, facts)
    while True:
        strangeness(network, made(), until).backward()  # type: ignore[no-untyped-call]
        optimizer.step(_LR)
        meter.spend()
        if meter.share >= _MADE_SHARE or meter.left <= 1:
            break
    with torch.no_grad():
        grid = block_grid(made.levels().cpu().numpy(), facts.block_size)
    plans = read_faint(facts, statistics(grid), natural(material), meter, seed)
    found = settle(plans, judged, meter)
    return climbed(found, facts, judged, meter, seed)


class Made(nn.Module):
    """Images to be found, as logits of their grey levels.

    They begin as smooth fields, one for each position of a block and independent of each other's:
    natural from block to block, and with no opinion of the plan.
    """

    def __init__(self, facts: Facts, count: int, seed: int) -> None:
        super().__init__()
        side = facts.image_side
        coarse, fine = max(2, side // _FIELD), side // facts.block_size
        drawn = torch.Generator().manual_seed(seed)
        fields = torch.randn((count, facts.positions, coarse, coarse), generator=drawn)
        fields = F.interpolate(fields, size=(fine, fine), mode="bilinear", align_corners=False)
        images = grid_images(fields.permute(0, 2, 3, 1), facts.block_size)
        self.logits = nn.Parameter(images.contiguous())
        for name, values in facts.normalisation._asdict().items():
            self.register_buffer(name, torch.tensor(values).view(3, 1, 1))

    def levels(self) -> Tensor:
        """Grey levels (N, 3, S, S), 0 to 1."""
        return torch.sigmoid(self.logits)

    def forward(self) -> Tensor:
        """What the network sees of them."""
        seen: Tensor = (self.levels() - self.get_buffer("mean")) / self.get_buffer("std")
        return seen


def strangeness(network: nn.Module, inputs: Tensor, until: Sequence[nn.Module] = ()) -> Tensor:
    """How far inputs are from those of training, by statistics, certainty and spread of answers;
    by the statistics in front of modules ``until`` alone where there are such."""
    with divergences(network, 1, math.inf, until=until) as layers:
        logits = network(inputs)["out"].float()
    usual = F.softmax(logits, dim=1).mean(dim=(0, 2, 3))
    spread = -(usual * usual.clamp(min=1e-12).log()).sum()
    total = _SURE * (entropy(logits, 1).sum() - spread)
    if until and layers:
        total = torch.zeros_like(total)
    for layer in layers:
        total = total + torch.log1p(layer).sum()
    return total


ATTACK = Attack("inversion", "T0", "steps", run, why_not)
