"""What a thief with labels works on: a share of the task's labelled images, evenly spread."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from seglock.attacks.climb import Judged
from seglock.attacks.protocol import Material
from seglock.attacks.score_guesses import scores
from seglock.attacks.signals import cross_entropy
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

    most: labelled images that each is scored on, at most.
    """
    images, masks = labelled(material, share)
    some = list(spread(len(images), most, middle=False))
    photos = torch.from_numpy(images[some]).to(material.device)
    score = cross_entropy(torch.from_numpy(masks[some]).to(material.device))

    def judged(guesses: Sequence[Plan]) -> Tensor:
        return scores(material, photos, guesses, score)

    return judged
