"""What a thief with labels works on: a share of the task's labelled images, evenly spread."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from seglock.attacks.climb import Judged
from seglock.attacks.guesses import Guess
from seglock.attacks.protocol import Material
from seglock.attacks.signals import cross_entropy
from seglock.attacks.trial import Photos, scores

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

SCORED = 16
"""Labelled images that a search scores each key on, at most: more would cost it keys."""


def labelled(material: Material, share: float) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Images and masks of a share of the task's labelled images, as many as there are.

    At least two, since one image may lack a class and batch norm a variance.
    """
    assert material.masks is not None
    wanted = max(2, round(share * material.labelled_of))
    chosen = spaced(len(material.photos), wanted)
    return np.ascontiguousarray(material.photos[chosen]), np.ascontiguousarray(
        material.masks[chosen]
    )


def spaced(length: int, wanted: int) -> NDArray[np.int64]:
    """``wanted`` different numbers below ``length``, evenly spread; all where there are fewer.

    >>> spaced(10, 3).tolist(), spaced(2, 5).tolist()
    ([0, 3, 6], [0, 1])
    """
    if wanted >= length:
        return np.arange(length)
    return np.arange(wanted) * length // wanted


def by_labels(material: Material, share: float, most: int = SCORED) -> Judged:
    """The cross-entropy of guesses on labelled images: what a search with labels makes less.

    most: labelled images that each is scored on, at most.
    """
    images, masks = labelled(material, share)
    some = spaced(len(images), most)
    photos = Photos(images[some], material.facts, material.device)
    score = cross_entropy(torch.from_numpy(masks[some]).to(material.device))

    def judged(guesses: Sequence[Guess]) -> Tensor:
        return scores(material.network, photos, guesses, score, material.batch_size)

    return judged
