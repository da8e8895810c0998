"""T1, `finetune`: all of the stolen network trained further on labelled plain images."""

from __future__ import annotations

import copy
from collections.abc import Iterable

from torch import nn

from seglock.attacks.budget import Meter
from seglock.attacks.by_labelled_share import over_shares
from seglock.attacks.protocol import Attack, Finding, Material, needs_lock

_LR = 0.006


def run(material: Material, meter: Meter, seed: int) -> Finding:
    """One training for each share of labelled images, beside one from scratch."""
    return over_shares(material, meter, seed, whole, lr=_LR)


def whole(material: Material) -> tuple[nn.Module, Iterable[nn.Parameter]]:
    """A copy of the network, and all of its parameters."""
    network = copy.deepcopy(material.network)
    return network, network.parameters()


ATTACK = Attack("finetune", "T1", "steps", run, needs_lock)
