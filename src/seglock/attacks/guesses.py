"""Plans that a thief makes up, from keys of the thief's own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from seglock.keys import SecretKey
from seglock.transforms import Transform
from seglock.transforms.build import for_network
from seglock.transforms.plan import IDENTITY
from seglock.transforms.sequence import plan_sequence

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from seglock.attacks.protocol import Facts
    from seglock.transforms.plan import Plan


def guess(facts: Facts, seed: int, number: int) -> Plan:
    """The ``number``-th plan of a lock under keys that the thief draws from ``seed``."""
    drawn = np.random.default_rng([seed, number]).bytes(SecretKey.SIZE)
    plan = plan_sequence(facts.steps, SecretKey.from_bytes(drawn), facts.ffx_password)
    return for_network(plan, facts.ffx_divisor, facts.normalisation)


def inputs_of(guesses: Sequence[Plan], photos: Tensor, facts: Facts) -> Tensor:
    """What the network sees of photos (B, 3, S, S) uint8 under each guess: (K * B, 3, S, S)."""
    return torch.cat([Transform(facts.steps, plan).to_input(photos) for plan in guesses])


def touched(plan: Plan) -> NDArray[np.bool_]:
    """Which positions get another value than their own, (n,)."""
    found: NDArray[np.bool_] = (plan.tables != IDENTITY).any(axis=1)[plan.selector]
    return found
