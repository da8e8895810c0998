"""What one evaluation found, as data; ``to_dict`` is the "scores" part of evaluation.json."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from seglock.evaluation.floors import Floors
from seglock.evaluation.iou import iou_per_class, mean_iou


@dataclass(frozen=True)
class Score:
    """One kind of access. All figures are IoU, 0 to 1; None where a class does not occur."""

    miou: float
    iou: dict[str, float | None]
    per_image_mean: float

    @classmethod
    def of(cls, matrices: np.ndarray, classes: tuple[str, ...]) -> Score:
        """From one confusion matrix an image, (N, C, C); images all void have no mean IoU."""
        total = matrices.sum(axis=0)
        iou = {
            name: None if np.isnan(value) else float(value)
            for name, value in zip(classes, iou_per_class(total), strict=True)
        }
        images = [value for value in map(mean_iou, matrices) if not np.isnan(value)]
        return cls(mean_iou(total), iou, float(np.mean(images)))

    def to_dict(self) -> dict[str, Any]:
        """As in evaluation.json."""
        return {"miou": self.miou, "iou": self.iou, "per_image_mean": self.per_image_mean}


@dataclass(frozen=True)
class KeyScores:
    """Mean IoU under each wrong key; ``all_plans`` when no other plan exists.

    >>> scores = KeyScores((0.1, 0.2, 0.3), all_plans=False)
    >>> round(scores.mean, 3), round(scores.std, 3), round(scores.p95, 3)
    (0.2, 0.082, 0.29)
    """

    miou: tuple[float, ...]
    all_plans: bool

    @property
    def mean(self) -> float:
        """The paper's figure for "incorrect"."""
        return float(np.mean(self.miou))

    @property
    def std(self) -> float:
        """Standard deviation over the keys (divided by their number)."""
        return float(np.std(self.miou))

    @property
    def p95(self) -> float:
        """95th percentile, linear between keys: what a thief with some luck gets."""
        return float(np.percentile(self.miou, 95))

    def to_dict(self) -> dict[str, Any]:
        """As in evaluation.json."""
        return {
            "keys": len(self.miou),
            "all_plans": self.all_plans,
            "mean": self.mean,
            "std": self.std,
            "p95": self.p95,
            "max": max(self.miou),
            "min": min(self.miou),
            "miou": list(self.miou),
        }


@dataclass(frozen=True)
class PictureScore:
    """Mean IoU of one test image; None where there is no such access, or all of it is void."""

    id: str
    correct: float | None
    plain: float | None
    incorrect: float | None


@dataclass(frozen=True)
class AccessResult:
    """One lock judged. The baseline has ``plain`` only.

    ``pictures`` holds arrays for pictures.npz, P test images spread evenly over the split: ids
    (P,) str, images (P, 3, H, W) uint8 plain, target (P, H, W) uint8, and predictions (P, H, W)
    uint8 ``plain`` and, under a lock, ``correct`` and ``incorrect`` (the first wrong key).
    """

    floors: Floors
    plain: Score
    correct: Score | None = None
    plain_bn: Score | None = None
    incorrect: KeyScores | None = None
    picture_scores: tuple[PictureScore, ...] = ()
    pictures: dict[str, np.ndarray] = field(default_factory=dict, repr=False, compare=False)

    @property
    def owner_miou(self) -> float:
        """What the key's owner gets; of the baseline, what everyone gets."""
        return (self.correct or self.plain).miou

    @property
    def unauthorised(self) -> float | None:
        """The best someone without the key gets: plain, plain with new statistics, wrong keys."""
        if self.plain_bn is None or self.incorrect is None:
            return None
        return max(self.plain.miou, self.plain_bn.miou, self.incorrect.p95)

    @property
    def regained(self) -> float | None:
        """Share of the owner's gain over the floor that is open to all: 0 perfect, 1 no lock.

        None where the owner is no better than the floor. Below 0 the lock beats the floor.
        """
        unauthorised, floor = self.unauthorised, self.floors.floor
        if unauthorised is None or self.owner_miou <= floor:
            return None
        return (unauthorised - floor) / (self.owner_miou - floor)

    def to_dict(self) -> dict[str, Any]:
        """The "scores" part of evaluation.json: plain values only."""
        return {
            "floors": self.floors.to_dict(),
            "correct": self.correct and self.correct.to_dict(),
            "plain": self.plain.to_dict(),
            "plain_bn": self.plain_bn and self.plain_bn.to_dict(),
            "incorrect": self.incorrect and self.incorrect.to_dict(),
            "owner_miou": self.owner_miou,
            "unauthorised": self.unauthorised,
            "regained": self.regained,
            "pictures": [vars(score).copy() for score in self.picture_scores],
        }
