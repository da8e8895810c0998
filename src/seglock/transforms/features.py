"""What a key does inside the network: the channels of a layer's output change places."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from seglock.errors import ConfigError
from seglock.keys import derive_permutation
from seglock.steps import FeatureStep
from seglock.transforms.plan import Unwritable
from seglock.transforms.sequence import plan_use

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from seglock.keys import SecretKey
    from seglock.methods import FfxPassword
    from seglock.steps import Step


@dataclass(frozen=True, eq=False, repr=False)
class FeaturePlan(Unwritable):
    """What a key does to the output of one layer: channel ``i`` becomes channel ``order[i]``.

    order: int64 (C,), a permutation. A plan is worth as much as its key: it never prints the order
    and refuses to be pickled.
    """

    step: FeatureStep
    order: NDArray[np.int64]

    def __post_init__(self) -> None:
        own = np.array(self.order, dtype=np.int64)
        own.flags.writeable = False
        object.__setattr__(self, "order", own)

    @property
    def layer(self) -> str:
        """The layer's name."""
        return self.step.layer

    @property
    def bits(self) -> float:
        """log2 of how many such plans there are."""
        return math.lgamma(len(self.order) + 1) / math.log(2)

    def equals(self, other: FeaturePlan) -> bool:
        """Whether both do the same to the same layer."""
        return self.step == other.step and np.array_equal(self.order, other.order)

    def __repr__(self) -> str:
        return f"FeaturePlan({self.step})"


def plan_features(
    features: Sequence[FeatureStep],
    beside: Sequence[Step],
    key: SecretKey,
    ffx_password: FfxPassword,
    channels: Mapping[str, int] | None,
) -> tuple[FeaturePlan, ...]:
    """The plans of feature steps, each from a derived key of its own.

    beside: the steps on images. channels: how many the output of each layer has that can be
    permuted; None where there is no network.

    Raises ConfigError for a layer that is not among them.
    """
    if features and channels is None:
        raise ConfigError(
            "a chp step acts inside a network, and none is at hand here",
            got=", ".join(map(str, features)),
            fix="take it out: this is about images alone",
        )
    found = []
    for place, step in enumerate(features):
        assert channels is not None
        if step.layer not in channels:
            raise ConfigError(
                "a chp step must name a layer of the network that can be permuted",
                got=str(step),
                fix=f"use one of {', '.join(f'chp-{name}' for name in channels)}"
                if channels
                else "take the step out: this network has none",
            )
        use = plan_use("channels", place, beside, ffx_password, features)
        found.append(FeaturePlan(step, derive_permutation(key, use, channels[step.layer])))
    return tuple(found)
