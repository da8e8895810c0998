"""T1, `block-adapter`: a learnable map of each block before the frozen network.

Linear with a bias, which holds every NP and SHF plan; for FFX a soft 256-entry table and a soft
mask. The network behind it stays as it was stolen, statistics included.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from functools import partial

import torch
from torch import nn

from seglock.attacks.adapters import Adapted, BlockMap, SoftTable
from seglock.attacks.budget import Meter
from seglock.attacks.by_labelled_share import over_shares
from seglock.attacks.climb import draw_best
from seglock.attacks.guesses import Guess
from seglock.attacks.labels import by_labels, labelled
from seglock.attacks.protocol import Attack, Facts, Finding, Material, needs_steps
from seglock.attacks.tuning import loss_of
from seglock.transforms import identity

POSITIONS_LIMIT = 3072
"""n x n weights for n = 3072 (M = 32) are 9.4 million; beyond, they outgrow the network."""
_MAP_LR = 0.12
"""Times n ** -1/2: the more weights meet in one output, the less each may move."""
_TABLE_LR = 0.02
_START_SHARE = 0.05


def why_not(facts: Facts) -> str | None:
    """Blocks too large for a map of all their positions."""
    if needs_steps(facts):
        return needs_steps(facts)
    if facts.methods != {"ffx"} and facts.positions > POSITIONS_LIMIT:
        return f"a map of {facts.positions} positions has {facts.positions**2} weights"
    return None


def run(material: Material, meter: Meter, seed: int) -> Finding:
    """One adapter for each share of labelled images, beside a network from scratch."""
    facts = material.facts
    lr = _TABLE_LR if facts.methods == {"ffx"} else _MAP_LR / facts.positions**0.5
    return over_shares(material, meter, seed, partial(_adapted, meter, seed), lr=lr)


def _adapted(
    meter: Meter, seed: int, material: Material
) -> tuple[nn.Module, Iterable[nn.Parameter]]:
    facts, layers = material.facts, list[nn.Module]()
    if "ffx" in facts.methods:
        layers.append(SoftTable(facts))
    if facts.methods != {"ffx"}:
        layers.append(BlockMap(facts, guessed(material, meter, seed)))
    network = Adapted(nn.Sequential(*layers), copy.deepcopy(material.network)).to(material.device)
    return network, network.adapter.parameters()


def guessed(material: Material, meter: Meter, seed: int) -> Guess | None:
    """The best of a few random keys; None where plain images, as they are, do better."""
    if "ffx" in material.facts.methods or meter.exhausted:
        return None
    share = meter.share + _START_SHARE / len(meter.budget.labelled)
    judged = by_labels(material, 1.0)
    found = draw_best(material.facts, judged, meter, seed, share=share, at_once=1)
    images, masks = (torch.from_numpy(a).to(material.device) for a in labelled(material, 1.0))
    plain = loss_of(material.network, identity().to_input(images), masks)
    return found.guess if found.score < plain else None


ATTACK = Attack("block-adapter", "T1", "steps", run, why_not)
