"""What a network's answers to photos amount to: whether they have collapsed to one class."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from seglock.attacks.tuning import BATCH
from seglock.evaluation.predict import classes_of

COLLAPSED = 0.99
"""Answers of which one class has a larger share tell nothing."""
_MOST_LOOKED_AT = 64


@dataclass(frozen=True)
class Look:
    """most: the share of the most frequent class. classes: diversity, exp of the entropy of all
    shares: 1 where all are one class. told: what answers tell of those to the mirrored photos,
    pixel by pixel, in nats: 0 for chance and for one class alike."""

    most: float
    classes: float
    told: float

    @classmethod
    @torch.inference_mode()
    def of(cls, network: nn.Module, inputs: Tensor) -> Look:
        """Of a network, put into eval mode, on inputs (N, 3, S, S)."""
        network.eval()
        some, joint, count = inputs[:: -(-len(inputs) // _MOST_LOOKED_AT)], Tensor(), 0
        for part in torch.split(some, BATCH):
            logits = network(part)["out"]
            straight, mirrored = classes_of(logits), classes_of(network(part.flip(-1))["out"])
            count = logits.shape[1]
            pairs = straight.long() * count + mirrored.flip(-1).long()
            found = torch.bincount(pairs.flatten(), minlength=count**2).double().cpu()
            joint = joint + found if len(joint) else found
        joint = joint / joint.sum()
        one, other = (joint.view(count, count).sum(axis) for axis in (1, 0))
        told = _nats(one) + _nats(other) - _nats(joint)
        return cls(float(one.max()), float(np.exp(_nats(one))), max(0.0, told))

    @property
    def collapsed(self) -> bool:
        """Whether nearly all answers are one class."""
        return self.most > COLLAPSED

    def to_dict(self) -> dict[str, float | bool]:
        """As in results."""
        return {"classes": self.classes, "told": self.told, "collapsed": self.collapsed}


def _nats(shares: Tensor) -> float:
    """The entropy of shares that add up to 1."""
    return float(-(shares * shares.clamp(min=1e-12).log()).sum())
