"""Many guessed plans tried at once: one forward pass for several."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from seglock.transforms import Transform

if TYPE_CHECKING:
    from seglock.attacks.protocol import Facts, Material
    from seglock.transforms.plan import Plan

Score = Callable[[Tensor, int], Tensor]
"""From logits (K * B, C, H, W) of K guesses to a score of each (K,), the lower the better."""


def inputs_of(guesses: Sequence[Plan], photos: Tensor, facts: Facts) -> Tensor:
    """What the network sees of photos (B, 3, S, S) uint8 under each guess: (K * B, 3, S, S)."""
    return torch.cat([Transform(facts.steps, plan).to_input(photos) for plan in guesses])


@torch.inference_mode()
def scores(material: Material, photos: Tensor, guesses: Sequence[Plan], score: Score) -> Tensor:
    """The score of each guess, on the CPU; as many guesses a pass as a batch holds, or one."""
    at_once = max(1, material.batch_size // len(photos))
    parts = []
    for some in (guesses[start : start + at_once] for start in range(0, len(guesses), at_once)):
        logits = material.network(inputs_of(some, photos, material.facts))["out"]
        parts.append(score(logits, len(some)).double().cpu())
    return torch.cat(parts)
