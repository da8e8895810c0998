"""What a thief with labels works on: a share of the task's labelled images, evenly spread."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F

from seglock.attacks.climb import Judged
from seglock.attacks.guesses import inputs_of
from seglock.attacks.protocol import Material
from seglock.data import VOID
from seglock.evaluation.tally import spread

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from seglock.transforms.plan import Plan

SCORED = 16
"""Labelled images that a search scores each key on, at most: more would cost it keys."""


def labelled(material: Material, share: float) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Images and masks of a share of the task's labelled images, as many as there are.

    At least two, since one image may lack a class and batch norm a variance.
    """
    assert material.masks is not None
    wanted = max(2, round(share * material.labelled_of))
    chosen = list(spread(len(material.photos), wanted, middle=False))
    return material.photos[chosen], material.masks[chosen]


def by_labels(material: Material, share: float, most: int = SCORED) -> Judged:
    """The cross-entropy of guesses on labelled images: what a search with labels makes less.

    most: labelled images that each is scored on, at most. As many guesses go through the network
    at once as a batch holds, or one.
    """
    images, labels = labelled(material, share)
    some = list(spread(len(images), most, middle=False))
    photos, masks = (torch.from_numpy(a[some]).to(material.device) for a in (images, labels))
    at_once = max(1, material.batch_size // len(photos))

    @torch.inference_mode()
    def judged(guesses: Sequence[Plan]) -> Tensor:
        parts = []
        for some in (guesses[start : start + at_once] for start in range(0, len(guesses), at_once)):
            logits = material.network(inputs_of(some, photos, material.facts))["out"]
            parts.append(cross_entropy(logits, masks, len(some)).double().cpu())
        return torch.cat(parts)

    return judged


def cross_entropy(logits: Tensor, masks: Tensor, guesses: int) -> Tensor:
    """Per labelled pixel, of each guess (K,); logits (K * B, C, H, W), masks (B, H, W)."""
    target = masks.long().repeat(guesses, 1, 1)
    losses = F.cross_entropy(logits.float(), target, ignore_index=VOID, reduction="none")
    return losses.view(guesses, -1).sum(dim=1) / (masks != VOID).sum().clamp(min=1)
