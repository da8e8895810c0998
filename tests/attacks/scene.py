"""A lock, a network and images for attacks to be tried on; small, seeded, drawn here."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import nn

import seglock
from seglock import attacks
from seglock.attacks import Facts, Judge, Material
from seglock.attacks.protocol import Tier
from seglock.attacks.stem_match import FOLDABLE
from seglock.config import (
    EvaluateParams,
    LockParams,
    ModelParams,
    Params,
    SyntheticParams,
    TrainParams,
)
from seglock.data import PreparedData, Split
from seglock.data.synthetic import generate
from seglock.keys import SecretKey
from seglock.models import build_model, permuted
from seglock.training.epoch import pixel_loss
from seglock.training.optimizer import Optimizer
from seglock.transforms import Transform, compose

KEY = SecretKey.from_bytes(bytes(range(32)))
OTHER = SecretKey.from_bytes(bytes(range(1, 33)))
THIRD = SecretKey.from_bytes(bytes(range(2, 34)))
CPU = torch.device("cpu")
CLASSES = 3
WIDTH = 16


@dataclass(frozen=True)
class Scene:
    """One lock as attacks see it, and as the judge does."""

    transform: Transform
    facts: Facts
    network: nn.Module
    attacker: Split
    test: Split
    floor: float = 0.1
    public: nn.Module | None = None
    colluder: tuple[nn.Module, Transform] | None = None

    def material(self, tier: Tier, transform: Transform | None = None) -> Material:
        return self.under(transform or self.transform).material(tier)

    def judge(self, transform: Transform | None = None) -> Judge:
        own = self.under(transform or self.transform)
        return Judge(own, self.floor, own.seen())

    def under(self, transform: Transform) -> attacks.Scene:
        """The scene that stages make; as many images as the attacker has count as labelled."""
        classes = tuple("abc"[:CLASSES])
        data = PreparedData(
            Path(), "synthetic", classes, self.facts.image_side, "",
            self.attacker, self.attacker, self.test,
        )  # fmt: skip
        return attacks.Scene(
            self.network, transform, data, PARAMS, self.attacker, self.test, self.public,
            self.colluder,
        )  # fmt: skip


PARAMS = Params(
    locks={"baseline": LockParams(steps=[])},
    train=TrainParams(device="cpu"),
    evaluate=EvaluateParams(batch_size=16),
)


@lru_cache(maxsize=4)
def splits(side: int, count: int, seed: int = 0) -> tuple[Split, Split, Split]:
    """Training, attacker's and test images of the synthetic set: 4 to 1 to 1."""
    params = SyntheticParams(side=side, classes=CLASSES, seed=seed)
    parts = list(generate(params, 6 * count))
    images = np.concatenate([part[0] for part in parts]).transpose(0, 3, 1, 2).copy()
    masks = np.concatenate([part[1] for part in parts])
    for array in (images, masks):
        array.setflags(write=False)  # as those of prepared data
    cuts = {
        "train": slice(0, 4 * count),
        "val": slice(4 * count, 5 * count),
        "test": slice(5 * count, None),
    }
    made = [
        Split(name, tuple(map(str, range(6 * count)))[rows], images[rows], masks[rows])
        for name, rows in cuts.items()
    ]
    return made[0], made[1], made[2]


def scene(
    *steps: str,
    side: int = 16,
    count: int = 8,
    ffx_password: str = "from_key",
    epochs: int = 0,
    key: SecretKey = KEY,
) -> Scene:
    """A lock on images of ``side``; its network is trained for ``epochs``, or fresh. Where it could
    be folded, another customer has the fresh network, folded."""
    layers = {f"block{number}": WIDTH for number in range(6)}
    transform = compose(steps, key, ffx_password, channels=layers)  # type: ignore[arg-type]
    methods = {step.method for step in transform.steps}
    can_fold = transform.block_size == 2 and methods <= FOLDABLE and not transform.features
    facts = Facts(
        transform.steps,
        ffx_password,  # type: ignore[arg-type]
        None,
        side,
        stem=2,
        colluders=can_fold,
        features=tuple(plan.step for plan in transform.features),
    )
    train, attacker, test = splits(side, count)
    torch.manual_seed(0)
    network = build_model(ModelParams(width=WIDTH), CLASSES)
    colluder = (copy.deepcopy(network), compose(steps, THIRD)) if can_fold else None
    if colluder:
        with torch.random.fork_rng():  # what is trained is the same with one and without
            seglock.fold(*colluder)
    if epochs:
        fit(network, transform, train, epochs)
    return Scene(transform, facts, network.eval(), attacker, test, colluder=colluder)


def fit(network: nn.Module, transform: Transform, train: Split, epochs: int) -> None:
    """A few epochs of SGD: enough for the right key to be told from wrong ones."""
    images, masks = torch.tensor(train.images), torch.tensor(train.masks)
    optimizer = Optimizer(network, TrainParams(lr=0.1))
    inputs = transform.to_input(images)
    network.train()
    for _ in range(epochs):
        for rows in torch.randperm(len(images)).split(16):
            with permuted(network, transform.features):
                loss = pixel_loss(network(inputs[rows])["out"], masks[rows])
            (loss / masks[rows].numel()).backward()
            optimizer.step(0.1)
