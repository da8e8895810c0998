"""What each tier of thief is handed, cut from one split of plain images and what the owner does."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from seglock.attacks.protocol import Facts, Material, Oracle, Pairs, Tier
from seglock.errors import AttackError

if TYPE_CHECKING:
    import torch
    from torch import nn

    from seglock.data import Split

PAIRS = 32
"""Known pairs handed over, more than any lock was ever seen to need."""
_PHOTOS_OF = 4  # every fourth image is the thief's own, the others the thief sees encrypted


def hand_over(
    tier: Tier,
    *,
    facts: Facts,
    network: nn.Module,
    split: Split,
    encrypt: Oracle,
    labelled_of: int,
    device: torch.device,
    batch_size: int,
    bf16: bool | None = None,
) -> Material:
    """The material of a tier, with a copy of the network: no attack can spoil the next one's.

    split: the attacker's images, never the test split. encrypt: what the owner's client does. It
    is handed over to T3 alone, as an oracle; T2 gets some of its answers. bf16: whether to compute
    in bfloat16; None: on CUDA.

    Raises AttackError where the split has too few images, or is the test split.
    """
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
    stolen, images = copy.deepcopy(network).to(device).eval(), np.array(split.images)
    own = Material(
        facts,
        stolen,
        device,
        images,
        labelled_of=labelled_of,
        batch_size=batch_size,
        bf16=device.type == "cuda" if bf16 is None else bf16,
    )
    if tier == "T1":
        return replace(own, masks=np.array(split.masks))
    if tier == "T2":
        return replace(own, photos=images[::_PHOTOS_OF], ciphertexts=encrypt(unseen(images)))
    if tier == "T3":
        plain = images[:PAIRS]
        return replace(own, pairs=Pairs(plain, encrypt(plain)), oracle=encrypt)
    return own


def unseen(images: np.ndarray) -> np.ndarray:
    """The images of which a thief of tier T2 has only the encrypted ones."""
    return np.delete(images, np.s_[::_PHOTOS_OF], axis=0)
