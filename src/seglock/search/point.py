"""One choice of a study's space: a lock, and the recipe's values that the space varies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from seglock.config import BASELINE

if TYPE_CHECKING:
    from seglock.results.trial import TrialRecord


@dataclass(frozen=True)
class Point:
    """What one trial tries, complete: values that the space leaves alone are params.yaml's.

    pattern: methods from left to right, ``np`` or ``np+shf``; empty for a baseline, the plain
    network of the same cost. fraction: percent of positions of every step, None for the paper's.
    """

    pattern: str
    block_size: int
    fraction: int | None
    lr: float
    weight_decay: float
    epochs: int
    image_side: int

    @property
    def steps(self) -> tuple[str, ...]:
        """The lock's steps, as params.yaml has them.

        >>> Point("np+shf", 4, 25, 0.1, 0.0, 12, 64).steps
        ('np-4-f25', 'shf-4-f25')
        """
        if not self.pattern:
            return ()
        suffix = "" if self.fraction is None else f"-f{self.fraction}"
        return tuple(f"{method}-{self.block_size}{suffix}" for method in self.pattern.split("+"))

    @classmethod
    def of(cls, trial: TrialRecord) -> Self:
        """What a trial tried."""
        fraction = None if trial.fraction == "published" else int(trial.fraction)
        recipe = (trial.lr, trial.weight_decay, trial.epochs, trial.image_side)
        return cls(trial.method, trial.block_size, fraction, *recipe)

    @property
    def lock(self) -> str:
        """The lock's name: its step, or its steps joined; ``baseline`` without any.

        >>> Point("np+shf", 4, None, 0.1, 0.0, 12, 64).lock
        'np-4_shf-4'
        """
        return "_".join(self.steps) or BASELINE
