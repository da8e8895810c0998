"""The second term of a refusing lock's loss: what the network answers without the key.

L = CE(f(E_k x), y) + w * CE(f(u), t): u is the batch as one without the key gives it, t what such a
one is to get. Batch norm goes by the running statistics for some u, by the batch's own for others,
and the running ones never move: a thief who re-estimates them meets a refusal too. The term's
gradients are added up before the first one's, in a pass of its own.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from seglock.evaluation.floors import majority_mask, most_frequent

if TYPE_CHECKING:
    import numpy as np

    from seglock.transforms import Unauthorised

_SURE = 1.5
"""Of a target without a class, cross-entropy counts up to so many times that of a blind guess."""


@dataclass(frozen=True)
class Refusal:
    """The term of one training; ``answer`` is what the target of a batch is made from: a class
    index (1, 1), one for each pixel (S, S), uint8, or None for the true masks."""

    unauthorised: Unauthorised
    answer: Tensor | None
    most: float | None

    @classmethod
    def of(
        cls,
        unauthorised: Unauthorised,
        masks: np.ndarray,
        num_classes: int,
        device: torch.device,
    ) -> Refusal:
        """The term for training masks (N, S, S) uint8."""
        target = unauthorised.refuse.target
        if target == "mutual_information":
            return cls(unauthorised, None, _SURE * math.log(num_classes))
        if target == "prior":
            answer = torch.from_numpy(majority_mask(masks, num_classes))
        else:
            answer = torch.full((1, 1), most_frequent(masks, num_classes), dtype=torch.uint8)
        return cls(unauthorised, answer.to(device), None)

    def weight(self, step: int, steps: int) -> float:
        """The weight at optimizer step ``step``, from 0, of epochs of ``steps``; 0 without a term.

        >>> from seglock.config import RefuseParams
        >>> from seglock.keys import demonstration_key
        >>> from seglock.transforms import Unauthorised, compose
        >>> key, params = demonstration_key(), RefuseParams(weight=0.4, ramp_epochs=2, every=2)
        >>> refusal = Refusal(Unauthorised(compose(["np-4"], key), key, params), None, None)
        >>> [round(refusal.weight(step, 2), 6) for step in range(6)]
        [0.1, 0.0, 0.3, 0.0, 0.4, 0.0]
        """
        refuse = self.unauthorised.refuse
        if step % refuse.every:
            return 0.0
        ramp = refuse.ramp_epochs * steps
        return refuse.weight * (min(1.0, (step + 1) / ramp) if ramp else 1.0)

    def targets(self, masks: Tensor) -> Tensor:
        """What masks (B, S, S) uint8 become, on the same device."""
        return masks if self.answer is None else self.answer.expand_as(masks)


@contextlib.contextmanager
def batch_norm_still(network: nn.Module, *, by_batch: bool) -> Iterator[None]:
    """Within it batch norm's running statistics do not move in training mode.

    by_batch: whether it goes by those of the batch instead of the running ones.

    >>> network = nn.Sequential(nn.BatchNorm2d(1)).train()
    >>> with batch_norm_still(network, by_batch=True):
    ...     network(torch.tensor([1.0, 3.0]).view(2, 1, 1, 1)).flatten().round().tolist()
    [-1.0, 1.0]
    >>> network[0].running_mean.item(), network[0].num_batches_tracked.item()
    (0.0, 0)
    """
    layers = [module for module in network.modules() if isinstance(module, _BatchNorm)]
    for layer in layers:
        if by_batch:
            layer.track_running_stats = False
        else:
            layer.training = False
    try:
        yield
    finally:
        for layer in layers:
            layer.track_running_stats = True
            layer.training = True
