"""What a thief without labels goes by: how much at home the network is under a guess."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from seglock.attacks.protocol import Material
from seglock.attacks.score_guesses import inputs_of
from seglock.attacks.signals import Statistics, disagreement, entropy
from seglock.evaluation.tally import spread
from seglock.transforms.plan import Plan

PHOTOS = 16
_WEIGHTS = {"statistics": 1.0, "entropy": 0.3, "flips": 0.3}
"""Batch-norm statistics tell most: entropy and flips are low, too, for a network that is surely
wrong, and only settle what statistics leave open."""


class Signals:
    """The three signals of guesses on some photos, each beside its size for ``usual`` guesses."""

    def __init__(self, material: Material, usual: Sequence[Plan]) -> None:
        photos = material.photos
        images = photos[list(spread(len(photos), PHOTOS))]
        self._straight = torch.from_numpy(images).to(material.device)
        self._mirrored = self._straight.flip(-1)
        self._facts, self._network = material.facts, material.network
        self._at_once = max(1, material.batch_size // len(images))
        sizes = self._signals(usual)
        self._usual = {name: float(values.mean()) or 1.0 for name, values in sizes.items()}

    def __call__(self, guesses: Sequence[Plan]) -> Tensor:
        """The weighted signals of each guess, (K,): about 1.6 for usual ones."""
        found = self._signals(guesses)
        total = sum(_WEIGHTS[name] * found[name] / self._usual[name] for name in found)
        assert isinstance(total, Tensor)
        return total.cpu()

    def _signals(self, guesses: Sequence[Plan]) -> dict[str, Tensor]:
        parts = [
            self._measure(guesses[i : i + self._at_once])
            for i in range(0, len(guesses), self._at_once)
        ]
        return {name: torch.cat([part[name] for part in parts]).double() for name in parts[0]}

    @torch.inference_mode()
    def _measure(self, guesses: Sequence[Plan]) -> dict[str, Tensor]:
        found, count = {}, len(guesses)
        with Statistics(self._network) as statistics:
            statistics.guesses = count
            logits = self._network(inputs_of(guesses, self._straight, self._facts))["out"]
            if statistics.heard:
                found["statistics"] = statistics.divergence()
        mirrored = self._network(inputs_of(guesses, self._mirrored, self._facts))["out"]
        found["entropy"] = entropy(logits, count)
        found["flips"] = disagreement(logits, mirrored, count)
        return found
