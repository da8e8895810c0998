"""Many guessed plans tried at once: one gather each, one forward pass for several."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from seglock.attacks.blocks import block_grid
from seglock.methods import LEVELS
from seglock.transforms.input_values import input_values

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from seglock.attacks.protocol import Facts
    from seglock.transforms.plan import Plan

Score = Callable[[Tensor, int], Tensor]
"""From logits (K * B, C, H, W) of K guesses to a score of each (K,), the lower the better."""


class Photos:
    """Plain images cut into blocks once, on the device, ready for any guess."""

    def __init__(self, images: NDArray[np.uint8], facts: Facts, device: torch.device) -> None:
        self.facts = facts
        self.count = len(images)
        self.device = device
        self._grid = torch.from_numpy(block_grid(images, facts.block_size).astype(np.int64))
        self._grid = self._grid.to(device)
        self._channel = torch.arange(facts.positions, device=device) % 3

    def inputs(self, guesses: Sequence[Plan]) -> Tensor:
        """What the network sees under each guess: (K * B, 3, S, S) float32, guess by guess.

        Equal to ``Transform.to_input`` of the guessed plans.
        """
        return torch.cat([self._inputs(guess) for guess in guesses])

    def _inputs(self, guess: Plan) -> Tensor:
        values = torch.from_numpy(self._values(guess)).to(self.device)
        kinds, sources = (
            torch.from_numpy(array.astype(np.int64)).to(self.device)
            for array in (guess.selector, guess.permutation)
        )
        first = (kinds * 3 + self._channel) * LEVELS
        rows = torch.take(values, self._grid[..., sources] + first)
        count, down, right, _ = rows.shape
        m = self.facts.block_size
        blocks = rows.view(count, down, right, m, m, 3).permute(0, 5, 1, 3, 2, 4)
        return blocks.reshape(count, 3, down * m, right * m)

    def _values(self, guess: Plan) -> NDArray[np.float32]:
        """The network's input for each table, channel and level: (tables, 3, 256)."""
        exact = [
            [input_values(row, channel, guess.max_value) for channel in range(3)]
            for row in guess.tables
        ]
        return np.array(exact).astype(np.float32)


def scores(
    network: nn.Module, photos: Photos, guesses: Sequence[Plan], score: Score, batch_size: int
) -> Tensor:
    """The score of each guess, on the CPU; as many guesses a pass as a batch holds, at least one.

    ``batch_size`` is what memory allows: photos times guesses of one pass.
    """
    at_once = max(1, batch_size // photos.count)
    parts = []
    for some in _parts(guesses, at_once):
        with torch.inference_mode():
            logits = network(photos.inputs(some))["out"]
            parts.append(score(logits, len(some)).double().cpu())
    return torch.cat(parts)


def _parts(guesses: Sequence[Plan], size: int) -> Iterator[Sequence[Plan]]:
    for start in range(0, len(guesses), size):
        yield guesses[start : start + size]
