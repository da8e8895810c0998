"""T1, `stem-finetune`: only the first convolution and its norm, where the plan comes in."""

from __future__ import annotations

import copy
from collections.abc import Iterable

from torch import nn

from seglock.attacks.budget import Meter
from seglock.attacks.by_labelled_share import over_shares
from seglock.attacks.protocol import Attack, Finding, Material, needs_lock

_LR = 0.01


def run(material: Material, meter: Meter, seed: int) -> Finding:
    """One training for each share of labelled images, beside a whole one from scratch."""
    return over_shares(material, meter, seed, _stem, lr=_LR)


def _stem(material: Material) -> tuple[nn.Module, Iterable[nn.Parameter]]:
    """A copy of the network, and the parameters of its first two layers that have any."""
    network = copy.deepcopy(material.network)
    layers = [own for own in (list(m.parameters(recurse=False)) for m in network.modules()) if own]
    return network, [parameter for layer in layers[:2] for parameter in layer]


ATTACK = Attack("stem-finetune", "T1", "steps", run, needs_lock)
