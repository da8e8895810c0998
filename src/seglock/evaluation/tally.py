"""What is kept of each pass: one confusion matrix an image, and a few whole predictions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from seglock.evaluation.iou import confusion_matrices, iou_per_class, mean_iou
from seglock.evaluation.predict import refused
from seglock.results.evaluation import Floors, KeyScores, PictureScore, Rank, Score, Scores
from seglock.results.pictures import Pictures

if TYPE_CHECKING:
    from seglock.data import Split
    from seglock.evaluation.batches import Batch


def spread(length: int, count: int, *, middle: bool = True) -> tuple[int, ...]:
    """``count`` indices below ``length``, evenly spaced, without repetition; all where fewer.

    middle: each from the middle of its part of them, or the first.

    >>> spread(10, 3), spread(10, 3, middle=False), spread(2, 4)
    ((1, 5, 8), (0, 3, 6), (0, 1))
    """
    count = min(count, length)
    return tuple((2 * i + middle) * length // (2 * count) for i in range(count))


@dataclass(frozen=True)
class AccessResult:
    """One network judged: evaluation.json's scores, and pictures.npz."""

    scores: Scores
    pictures: Pictures = field(repr=False, compare=False)


class Tally:
    """Adds up predictions over the batches of a split and turns them into an AccessResult.

    answer: the class that a network which refuses gives everywhere.
    """

    def __init__(self, test: Split, classes: tuple[str, ...], answer: int, pictures: int) -> None:
        self.test = test
        self.classes = classes
        self.answer = answer
        self.chosen = spread(len(test), pictures)
        self.ranked: list[tuple[int, Rank]] = []
        # On the device until the end, so that no pass waits for the one before.
        self.matrices: dict[str, list[Tensor]] = {}
        self.refused: dict[str, list[Tensor]] = {}
        self.kept: dict[str, dict[int, Tensor]] = {}

    def add(self, name: str, batch: Batch, prediction: Tensor) -> None:
        """Count a batch's predictions, (B, H, W) uint8, and keep the chosen ones."""
        self.matrices.setdefault(name, []).append(batch.targets.matrices(prediction))
        self.refused.setdefault(name, []).append(refused(prediction, self.answer))
        self.keep(name, batch.numbers, prediction)

    def keep(self, name: str, rows: Sequence[int], prediction: Tensor) -> None:
        """Keep the chosen images' predictions of those of ``rows``."""
        kept, wanted = self.kept.setdefault(name, {}), {*self.chosen, *dict(self.ranked)}
        for place, index in enumerate(rows):
            if index in wanted:
                kept[index] = prediction[place].clone()

    def keep_extremes(self, most: int) -> list[int]:
        """Choose the owner's worst images and best ones too, ``most`` each at most; returns which,
        since their predictions are still to be kept."""
        if not most:
            return []
        owner = "correct" if "correct" in self.matrices else "plain"
        scores = [mean_iou(matrix) for matrix in torch.cat(self.matrices[owner]).cpu().numpy()]
        ranking = np.argsort(scores, kind="stable").tolist()
        order = [index for index in ranking if not np.isnan(scores[index])]
        most = min(most, len(order) // 2)
        self.ranked = [(index, "worst") for index in order[:most]]
        self.ranked += [(index, "best") for index in order[::-1][:most]]
        return [index for index, _ in self.ranked]

    def result(self, floors: Floors, incorrect: KeyScores | None) -> AccessResult:
        """All figures of a split that has labels."""
        counts = {name: torch.cat(parts).cpu().numpy() for name, parts in self.matrices.items()}
        scores = {
            name: _score(matrices, self.classes, torch.cat(self.refused[name]))
            for name, matrices in counts.items()
        }
        judged = Scores.of(
            floors,
            plain=scores["plain"],
            correct=scores.get("correct"),
            plain_bn=scores.get("plain_bn"),
            incorrect=incorrect,
            pictures=self._picture_scores(),
        )
        return AccessResult(judged, self._pictures())

    def _picture_scores(self) -> tuple[PictureScore, ...]:
        def score(name: str, index: int) -> float | None:
            if name not in self.kept:
                return None
            prediction = self.kept[name][index].cpu()[None]
            target = torch.from_numpy(np.array(self.test.masks[index]))[None]
            value = mean_iou(confusion_matrices(prediction, target, len(self.classes))[0])
            return None if np.isnan(value) else value

        names = ("correct", "plain", "incorrect")
        return tuple(
            PictureScore(
                id=self.test.ids[index],
                rank=rank,
                **{name: score(name, index) for name in names},
            )
            for index, rank in [*((index, None) for index in self.chosen), *self.ranked]
        )

    def _pictures(self) -> Pictures:
        rows = [*self.chosen, *(index for index, _ in self.ranked)]
        shape = (len(rows), *self.test.masks.shape[1:])
        predictions = {
            name: np.array([kept[i].cpu().numpy() for i in rows], np.uint8).reshape(shape)
            for name, kept in self.kept.items()
            if name != "plain_bn"
        }
        return Pictures(
            ids=np.array([self.test.ids[index] for index in rows], dtype=np.str_),
            images=np.array(self.test.images[rows]),
            target=np.array(self.test.masks[rows]),
            **predictions,
        )


def _score(matrices: np.ndarray, classes: tuple[str, ...], refusals: Tensor) -> Score:
    """From one confusion matrix an image, (N, C, C), and which were refused, (N,) bool; images all
    void have no mean IoU."""
    total = matrices.sum(axis=0)
    iou = {
        name: None if np.isnan(value) else float(value)
        for name, value in zip(classes, iou_per_class(total), strict=True)
    }
    images = [value for value in map(mean_iou, matrices) if not np.isnan(value)]
    return Score(
        miou=mean_iou(total),
        iou=iou,
        per_image_mean=float(np.mean(images)),
        refused=float(refusals.double().mean()),
        confusion=tuple(map(tuple, total.tolist())),
    )
