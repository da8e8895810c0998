"""T1, `block-adapter`: a learnable map of each block before the frozen network.

Linear with a bias, which holds every NP and SHF plan; for other tables (FFX) a soft one of 256
entries and a soft mask. The network behind it stays as it was stolen, statistics included.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from functools import partial

import numpy as np
import torch
from torch import nn

from seglock.attacks.adapters import Adapted, BlockMap, SoftTable
from seglock.attacks.budget import Meter
from seglock.attacks.by_labelled_share import over_shares
from seglock.attacks.climb import draw_best
from seglock.attacks.labels import by_labels, labelled
from seglock.attacks.protocol import Attack, Facts, Finding, Material, needs_steps
from seglock.attacks.tuning import loss_of
from seglock.transforms import identity
from seglock.transforms.plan import Plan
from seglock.transforms.sequence import public_tables

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
    plain = loss_of(material.network, identity().to_input(images), masks)
    return found.plan if found.score < plain else None


ATTACK = Attack("block-adapter", "T1", "steps", run, why_not)
