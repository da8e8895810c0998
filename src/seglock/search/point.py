"""One choice of a study's space: a lock, and the recipe's values that the space varies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from seglock.config import BASELINE
from seglock.config.search_locks import PUBLISHED, LockChoice

if TYPE_CHECKING:
    from seglock.results.trial import TrialRecord


Cost = tuple[int, int]
"""Epochs and image side: what a trial and its baselines have in common."""


@dataclass(frozen=True)
class Point(LockChoice):
    """What one trial tries, complete: values that the space leaves alone are params.yaml's.

    Without a pattern it is a baseline, the plain network of the same cost.
    """

    lr: float
    weight_decay: float
    epochs: int
    image_side: int

    @classmethod
    def of(cls, trial: TrialRecord) -> Self:
        """What a trial tried."""
        fraction = None if trial.fraction == PUBLISHED else int(trial.fraction)
        recipe = (trial.lr, trial.weight_decay, trial.epochs, trial.image_side)
        return cls(trial.method, trial.block_size, fraction, *recipe, refuse=trial.refuse)

    @property
    def recipe(self) -> tuple[object, ...]:
        """What the records of its trials have as theirs."""
        return self.steps, self.refuse, self.lr, self.weight_decay, self.epochs, self.image_side

    @property
    def share(self) -> str:
        """The fraction as a record has it."""
        return PUBLISHED if self.fraction is None else str(self.fraction)

    @property
    def cost(self) -> Cost:
        """Which baselines it is compared with."""
        return self.epochs, self.image_side

    @property
    def lock(self) -> str:
        """The lock's name: its step, or its steps joined, and what it refuses by; ``baseline``
        without any. A name has no dots.

        >>> Point("np+shf", 4, None, 0.1, 0.0, 12, 64, refuse=0.1).lock
        'np-4_shf-4_refuse-0-1'
        """
        parts = [*self.steps]
        if self.refuse:
            parts.append(f"refuse-{self.weight.replace('.', '-')}")
        return "_".join(parts) or BASELINE
