"""A trained lock with all that its attacks and their judge need."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from seglock.attacks.judge import Judge
from seglock.attacks.material import hand_over
from seglock.attacks.protocol import Facts
from seglock.models import pick_device

if TYPE_CHECKING:
    import torch
    from torch import nn

    from seglock.attacks.protocol import Attack, Material, Pairs
    from seglock.config import LockParams, Params
    from seglock.data import PreparedData, Split
    from seglock.transforms import Transform


@dataclass(frozen=True)
class Scene:
    """Who attacks what: the owner's network and transform of ``lock``, and the thief's images.

    attacker: the split that the thief's images come from. judged: the one that figures are of.
    """

    network: nn.Module
    transform: Transform
    lock: LockParams
    data: PreparedData
    params: Params
    attacker: Split
    judged: Split

    @cached_property
    def device(self) -> torch.device:
        """Where everything is computed."""
        return pick_device(self.params.train.device)

    @cached_property
    def facts(self) -> Facts:
        """What every thief knows."""
        lock, data = self.lock, self.data
        steps = self.transform.steps
        return Facts(steps, lock.ffx_password, lock.ffx_divisor, data.num_classes, data.image_side)

    def material(self, attack: Attack) -> Material:
        """What a thief of the attack's tier has."""
        return hand_over(
            attack.tier,
            facts=self.facts,
            network=self.network,
            split=self.attacker,
            encrypt=self.transform.encrypt,
            labelled_of=len(self.data.train),
            device=self.device,
            batch_size=self.params.evaluate.batch_size,
            bf16=self.params.train.bf16,
        )

    def judge(self, floor: float, seen: Pairs | None = None) -> Judge:
        """Who measures on the judged split, and knows the plan."""
        return Judge(
            self.network,
            self.transform,
            self.judged,
            self.data.num_classes,
            floor,
            self.device,
            self.params.evaluate.batch_size,
            self.params.train.bf16,
            seen=seen,
        )
