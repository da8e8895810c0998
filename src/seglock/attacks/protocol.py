"""What an attack is given, may spend, and hands back. Nothing here holds a secret."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from seglock.attacks.budget import Meter
from seglock.methods import LEVELS, METHODS
from seglock.normalisation import IMAGENET, Normalisation

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray
    from torch import nn

    from seglock.methods import FfxPassword, Method
    from seglock.steps import FeatureStep, Step
    from seglock.transforms import FeaturePlan
    from seglock.transforms.plan import Plan

Tier = Literal["T0", "T1", "T2", "T3"]
Unit = Literal["keys", "images", "steps", "pairs", "ciphertexts"]
Oracle = Callable[["NDArray[np.uint8]"], "NDArray[Any]"]
"""Encrypts plain images (N, 3, S, S) under the owner's key: uint8, or int16 for FFX."""


@dataclass(frozen=True)
class Facts:
    """What is public of a lock: everything but the key, as Kerckhoffs would have it.

    steps: those on images; features: those on feature maps. stem: by how many pixels the network's
    first convolution steps. colluders: whether another customer's network, folded from the same
    weights, is at hand with its key.
    """

    steps: tuple[Step, ...]
    ffx_password: FfxPassword
    ffx_divisor: int | None
    image_side: int
    normalisation: Normalisation = IMAGENET
    stem: int = 1
    colluders: bool = False
    features: tuple[FeatureStep, ...] = ()

    @property
    def block_size(self) -> int:
        """Side of a block in pixels; 1 without steps on images."""
        return self.steps[0].block_size if self.steps else 1

    @property
    def positions(self) -> int:
        """Values in a flattened block, n = 3 * M * M."""
        return 3 * self.block_size**2

    @property
    def blocks_per_image(self) -> int:
        """How many blocks an image has."""
        return (self.image_side // self.block_size) ** 2

    @property
    def methods(self) -> frozenset[str]:
        """The methods among the steps, by name."""
        return frozenset(step.method for step in self.steps)

    @property
    def shuffles(self) -> bool:
        """Whether any step moves values."""
        return any(METHODS[method].moves for method in self.methods)

    @property
    def substitutes(self) -> list[Method]:
        """The methods that send values through a table, in the order of their first steps."""
        methods = (METHODS[name] for name in dict.fromkeys(step.method for step in self.steps))
        return [method for method in methods if not method.moves]

    @property
    def secret_tables(self) -> list[Method]:
        """Those of `substitutes` whose table the key decides."""
        return [m for m in self.substitutes if m.public_table(self.ffx_password) is None]

    @property
    def reach(self) -> int:
        """How many values encrypted images have, from 0 on: 256, or what FFX gives."""
        return max((method.reach for method in self.substitutes), default=LEVELS)


@dataclass(frozen=True)
class Pairs:
    """Images in both forms: plain uint8 (N, 3, S, S) and encrypted uint8 or int16."""

    plain: NDArray[np.uint8]
    encrypted: NDArray[Any]


@dataclass(frozen=True)
class Material:
    """What a thief of one tier has. All of them have the network and photos of the same kind.

    photos: (N, 3, S, S) uint8 plain images. masks: T1, (N, S, S) uint8 labels of the photos.
    ciphertexts: T2, other images, encrypted. pairs and oracle: T3.
    public: the network with the published weights that the owner's training began with, where it
    did. unfolded_stem: what a colluder's first convolution was before it was folded, float64
    (C, b, b, n) as `models.fold.columns` has it. labelled_of: how many labelled images the task
    has, which shares are shares of. bf16: whether the network computes in bfloat16.
    """

    facts: Facts
    network: nn.Module
    device: torch.device
    photos: NDArray[np.uint8]
    masks: NDArray[np.uint8] | None = None
    ciphertexts: NDArray[Any] | None = None
    pairs: Pairs | None = None
    oracle: Oracle | None = None
    public: nn.Module | None = None
    unfolded_stem: NDArray[np.float64] | None = None
    labelled_of: int = 0
    batch_size: int = 64
    bf16: bool = False


@dataclass(frozen=True)
class Candidate:
    """One way for the thief to use the network on plain images.

    plan: what the thief encrypts them with; None: they go in as they are. features: what the thief
    does to feature maps. network: the thief's own; None: the stolen one. about: what distinguishes
    it, for everyone to read; exact: for the owner alone, as for `Finding`.
    """

    plan: Plan | None = None
    network: nn.Module | None = None
    about: Mapping[str, Any] = field(default_factory=dict)
    exact: Mapping[str, Any] = field(default_factory=dict)
    features: tuple[FeaturePlan, ...] = ()


@dataclass(frozen=True)
class Finding:
    """What an attack came to, before anyone who knows the plan has looked at it.

    chosen: the candidate that the thief would use, chosen on the thief's own data; None where
    there is nothing to choose by: then the figure is the 95th percentile over all candidates.
    beside: the candidate that does without the theft, for comparison.

    about: published; a function of what everyone has, never of what the owner's client answered,
    or readers could play the attack under every plan and see which gives the same. exact: for the
    owner alone: what those answers made of it.
    """

    candidates: tuple[Candidate, ...]
    chosen: int | None = 0
    beside: int | None = None
    about: Mapping[str, Any] = field(default_factory=dict)
    exact: Mapping[str, Any] = field(default_factory=dict)


def needs_lock(facts: Facts) -> str | None:
    """What every attack says to the baseline."""
    if facts.steps or facts.features:
        return None
    return "the baseline has no lock: its plain images are the right ones"


def needs_steps(facts: Facts) -> str | None:
    """What an attack says that asks how images are encrypted."""
    images = None if facts.steps else "no step of the lock is on images, which are plain"
    return needs_lock(facts) or images


def needs_one_table(facts: Facts) -> str | None:
    """What an attack says that tells positions by their tables: one from the key, and none behind.

    FFX never has more; other methods may.
    """
    secret = facts.secret_tables
    known = [step.method for step in facts.steps if not METHODS[step.method].moves]
    if secret and known.index(secret[0].name) < len(known) - 1:
        return f"it reads one table from the key, and none behind {secret[0].name}"
    return needs_steps(facts)


@dataclass(frozen=True)
class Listed:
    """What attacks and analyses are listed with: tier, what queries count, and what they do.

    why_not: why it does not apply to a lock; None where it does.
    """

    name: str
    tier: Tier | Literal["analysis"]
    unit: Unit
    run: Callable[..., Any]
    why_not: Callable[[Facts], str | None] = needs_steps


@dataclass(frozen=True)
class Attack(Listed):
    """One attack."""

    tier: Tier
    run: Callable[[Material, Meter, int], Finding]
