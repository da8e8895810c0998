"""The learning rate as a pure function of the step, so that a resumed run needs no state for it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from seglock.config import TrainParams

# The one-cycle policy as PyTorch has it: 30% of the way up, from a 25th of the peak.
_RISE = 0.3
_START_DIVISOR = 25.0


@dataclass(frozen=True)
class Schedule:
    """``lr(step)`` for every optimizer step of a training, counted from 0.

    All four shapes agree with ``torch.optim.lr_scheduler``: OneCycleLR (``cycle_momentum=False``,
    ending at ``min_lr``), CosineAnnealingWarmRestarts (Loshchilov and Hutter, 2017; the paper's,
    section 3.1), CosineAnnealingLR and ConstantLR. A warm-up climbs in equal parts to where the
    shape begins, as LinearLR does.

    >>> from seglock.config import TrainParams
    >>> schedule = Schedule.of(TrainParams(epochs=2, schedule="cosine", lr=0.1, min_lr=0.0), 2)
    >>> [round(schedule.lr(step), 4) for step in range(4)]
    [0.1, 0.0854, 0.05, 0.0146]
    """

    shape: str
    peak: float
    floor: float
    units: int
    warmup: int
    restart: int
    steps_per_unit: int

    @classmethod
    def of(cls, recipe: TrainParams, steps_per_epoch: int) -> Schedule:
        """The schedule of a recipe."""
        per_step = recipe.schedule_per == "step"
        units = steps_per_epoch if per_step else 1
        return cls(
            shape=recipe.schedule,
            peak=recipe.lr,
            floor=recipe.min_lr,
            units=recipe.epochs * units,
            warmup=recipe.warmup_epochs * units,
            restart=recipe.restart_epochs * units,
            steps_per_unit=1 if per_step else steps_per_epoch,
        )

    def lr(self, step: int) -> float:
        """The learning rate of optimizer step ``step``, counted from 0 over all epochs."""
        unit = step // self.steps_per_unit
        if unit < self.warmup:
            return self._shaped(0) * (unit + 1) / (self.warmup + 1)
        return self._shaped(unit - self.warmup)

    def _shaped(self, unit: int) -> float:
        length = self.units - self.warmup
        if self.shape == "constant":
            return self.peak
        if self.shape == "cosine":
            return _cosine(self.peak, self.floor, unit / length)
        if self.shape == "cosine_restarts":
            return _cosine(self.peak, self.floor, unit % self.restart / self.restart)
        if length == 1:
            return self.peak  # a single step has no way up or down
        top = _RISE * length - 1
        start = self.peak / _START_DIVISOR
        if unit <= top:
            return _cosine(start, self.peak, unit / top)
        return _cosine(self.peak, self.floor, (unit - top) / (length - 1 - top))


def _cosine(begin: float, end: float, share: float) -> float:
    return end + (begin - end) * (1 + math.cos(math.pi * share)) / 2
