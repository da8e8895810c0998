"""What segmentation scores without looking at an image: no figure means much below it."""

from __future__ import annotations

import numpy as np

from seglock.errors import EvaluationError
from seglock.evaluation.batches import slices
from seglock.evaluation.iou import mean_iou
from seglock.results.evaluation import Floors

_CHUNK = 64


def floors(train_masks: np.ndarray, test_masks: np.ndarray, num_classes: int) -> Floors:
    """Both floors of a dataset.

    Shape: masks (N, H, W) uint8 class index or 255 (void), one H and W for both; memory maps
    are read in pieces.

    Raises EvaluationError when the shapes differ or the test masks have fewer than two classes.

    >>> train = np.array([[[0, 1], [1, 1]]], np.uint8)
    >>> test = np.array([[[0, 1], [0, 1]]], np.uint8)
    >>> floors(train, test, num_classes=2)
    Floors(constant=0.25, prior=0.5833333333333333, floor=0.5833333333333333)
    """
    if train_masks.shape[1:] != test_masks.shape[1:]:
        raise EvaluationError(
            "training and test masks must have one size",
            got=f"{train_masks.shape[1:]} and {test_masks.shape[1:]}",
            fix="run `seglock data prepare` again",
        )
    guess = majority_mask(train_masks, num_classes)
    matrix = np.zeros((num_classes, num_classes), np.int64)
    for rows in slices(len(test_masks), _CHUNK):
        masks = np.asarray(test_masks[rows])
        guesses = np.broadcast_to(guess, masks.shape)
        valid = masks < num_classes
        cells = masks[valid].astype(np.int64) * num_classes + guesses[valid]
        matrix += np.bincount(cells, minlength=matrix.size).reshape(matrix.shape)
    pixels = matrix.sum(axis=1)
    if np.count_nonzero(pixels) < 2:  # else every model scores 1.0, whoever has the key
        raise EvaluationError(
            "the test split must have two classes or more whose pixels are not void",
            got=np.count_nonzero(pixels),
            fix="check data.classes and run `seglock data check`",
        )
    # One class everywhere: its IoU is its share of the pixels, that of every other class is 0.
    constant = float(pixels.max() / pixels.sum() / np.count_nonzero(pixels))
    prior = mean_iou(matrix)
    return Floors(constant=constant, prior=prior, floor=max(constant, prior))


def most_frequent(masks: np.ndarray, num_classes: int) -> int:
    """The class with most pixels of masks (N, H, W) uint8; ties go to the lower index.

    >>> most_frequent(np.array([[[0, 2, 2, 255, 255, 255]]], np.uint8), 3)
    2
    """
    votes = np.zeros(256, np.int64)
    for rows in slices(len(masks), _CHUNK):
        votes += np.bincount(np.asarray(masks[rows]).reshape(-1), minlength=256)
    return int(votes[:num_classes].argmax())


def majority_mask(masks: np.ndarray, num_classes: int) -> np.ndarray:
    """The most frequent class at each pixel: (N, H, W) uint8 -> (H, W) uint8.

    Ties go to the lower index; a pixel that is void in every mask takes the most frequent class
    of the whole split.

    >>> majority_mask(np.array([[[0, 2, 255]], [[0, 2, 255]], [[1, 0, 255]]], np.uint8), 3)
    array([[0, 2, 0]], dtype=uint8)
    """
    votes = np.zeros((num_classes, *masks.shape[1:]), np.int64)
    for rows in slices(len(masks), _CHUNK):
        piece = np.asarray(masks[rows])
        for index in range(num_classes):
            votes[index] += np.count_nonzero(piece == index, axis=0)
    overall = votes.sum(axis=(1, 2)).argmax()
    guess = np.where(votes.any(axis=0), votes.argmax(axis=0), overall)
    majority: np.ndarray = guess.astype(np.uint8)
    return majority
