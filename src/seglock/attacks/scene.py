"""A trained lock with all that its attacks and their judge need."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from torch import nn

from seglock.attacks.protocol import Facts, Material, Pairs
from seglock.errors import AttackError
from seglock.models import pick_device
from seglock.models.fold import columns, find_stem

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

    from seglock.attacks.protocol import Tier
    from seglock.config import Params
    from seglock.data import PreparedData, Split
    from seglock.transforms import Transform

PAIRS = 32
"""Known pairs handed over, more than any lock was ever seen to need."""
_PHOTOS_OF = 4  # every fourth image is the thief's own, the others the thief sees encrypted


@dataclass(frozen=True)
class Scene:
    """Who attacks what: the owner's network and transform, and the thief's images.

    attacker: the split that the thief's images come from. judged: the one that figures are of.
    public: the network as its training began, where that was with published weights. colluder:
    another customer's network and transform, folded from the same weights.
    """

    network: nn.Module
    transform: Transform
    data: PreparedData
    params: Params
    attacker: Split
    judged: Split
    public: nn.Module | None = None
    colluder: tuple[nn.Module, Transform] | None = None

    @cached_property
    def device(self) -> torch.device:
        """Where everything is computed."""
        return pick_device(self.params.train.device)

    @cached_property
    def facts(self) -> Facts:
        """What every thief knows."""
        own = self.transform
        return Facts(
            own.steps,
            own.ffx_password,
            own._plan.divisor,
            self.data.image_side,
            own.normalisation,
            next((m.stride[0] for m in self.network.modules() if isinstance(m, nn.Conv2d)), 1),
            self.colluder is not None,
            tuple(plan.step for plan in own.features),
        )

    def material(self, tier: Tier) -> Material:
        """What a thief of a tier has, with a copy of the network: no attack can spoil the next's.

        What the owner's client does is handed over to T3 alone, as an oracle; T2 gets some of its
        answers. Raises AttackError where the attacker's split has too few images, or is the test
        split.
        """
        split, encrypt, bf16 = self.attacker, self.transform.encrypt, self.params.train.bf16
        if split.name == "test":
            raise AttackError(
                "the attacker's images must not be the test split", got=split.name, fix="use val"
            )
        if len(split) < _PHOTOS_OF:
            raise AttackError(
                f"an attacker needs at least {_PHOTOS_OF} images",
                got=f"{len(split)} in split {split.name}",
                fix="raise data.val_split, or set attack.images: train",
            )
        stolen = copy.deepcopy(self.network).to(self.device).eval()
        images = np.array(split.images)
        own = Material(
            self.facts,
            stolen,
            self.device,
            images,
            public=self.public.to(self.device) if self.public else None,
            unfolded_stem=self._unfolded_stem(),
            labelled_of=len(self.data.train),
            batch_size=self.params.evaluate.batch_size,
            bf16=self.device.type == "cuda" if bf16 is None else bf16,
        )
        if tier == "T1":
            return replace(own, masks=np.array(split.masks))
        if tier == "T2":
            seen = self.seen().encrypted
            return replace(own, photos=images[::_PHOTOS_OF], ciphertexts=seen)
        if tier == "T3":
            plain = images[:PAIRS]
            return replace(own, pairs=Pairs(plain, encrypt(plain)), oracle=encrypt)
        return own

    def _unfolded_stem(self) -> NDArray[np.float64] | None:
        """The colluder's first convolution before it was folded, which the colluder's key tells."""
        if self.colluder is None:
            return None
        network, transform = self.colluder
        permutation, signs = transform.signed_permutation()
        own: NDArray[np.float64] = columns(find_stem(network)[1]).numpy()
        plain = np.empty_like(own)
        plain[..., permutation] = own * signs
        return plain

    def seen(self) -> Pairs:
        """The ciphertexts that a thief of tier T2 has, with their plain images."""
        plain = np.delete(np.asarray(self.attacker.images), np.s_[::_PHOTOS_OF], axis=0)
        return Pairs(plain, self.transform.encrypt(plain))
