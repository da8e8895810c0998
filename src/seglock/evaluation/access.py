"""Correct, plain and incorrect access to one locked network, in one pass over the test split."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from seglock.errors import EvaluationError
from seglock.evaluation.batch_norm import reestimate_batch_norm
from seglock.evaluation.batches import Batches, slices
from seglock.evaluation.floors import floors as floors_of
from seglock.evaluation.floors import most_frequent
from seglock.evaluation.iou import mean_iou
from seglock.evaluation.predict import Predictor, ToInput, refused
from seglock.evaluation.tally import AccessResult, Tally
from seglock.models import pick_device
from seglock.results.evaluation import KeyScores
from seglock.transforms import identity

if TYPE_CHECKING:
    from seglock.config import Params
    from seglock.data import PreparedData, Split
    from seglock.transforms import FeaturePlan, Transform

Progress = Callable[[int, int], None]
Made = TypeVar("Made")

KEYS_AT_ONCE = 4
"""Wrong keys whose plans are held together: each reading of the images serves so many."""

EXTREMES = 2
"""Worst images, and best ones, that are kept at most with their predictions."""


def judge_lock(
    model: nn.Module,
    data: PreparedData,
    params: Params,
    *,
    test: Split,
    unlabelled: np.ndarray,
    transform: Transform | None,
    wrong: Sequence[Transform],
    encrypted: np.ndarray | None = None,
    pictures: int = 0,
    progress: Progress | None = None,
) -> AccessResult:
    """Judge a trained network of ``data`` by one split, as ``params`` says it is to be computed
    (paper, section 3.3; measures in docs/threat-model.md).

    model: as ``build_model`` gives it; it is moved to the device and put into eval mode.
    test: the split to judge by; the floors are those of ``data``'s training masks.
    unlabelled: (N, 3, H, W) uint8 plain images, from which a thief re-estimates batch norm.
    transform: the lock's own; None for the baseline, which has plain access only.
    wrong: transforms of other keys, at least one under a lock; each is taken once, in order, so
    that ``incorrect_transforms`` may make it then.
    encrypted: the test images under ``transform``, (N, 3, H, W) uint8 or int16, or None to
    encrypt them here; the figures are the same.
    pictures: how many images, spread evenly over the split, to keep with their predictions; as many
    of the owner's worst and best come along, ``EXTREMES`` each at most.
    progress: called with (passes done, passes in all) after each pass of a batch.

    Memory does not grow with the keys but by one confusion matrix each: ``KEYS_AT_ONCE`` wrong
    transforms are held at a time, beside the few recipes that the transforms' room keeps. The
    images are read again for every so many keys, which costs less than a plan for every batch.

    Raises EvaluationError when sizes do not match, the split is empty or has fewer than two
    classes, or a lock has no wrong key to be judged by.
    """
    _check(test, transform, wrong, encrypted)
    batch_size, classes = params.evaluate.batch_size, data.num_classes
    floors = floors_of(data.train.masks, test.masks, classes)
    answer = most_frequent(data.train.masks, classes)
    owner = Predictor(model, pick_device(params.train.device), params.train.bf16)
    tally = Tally(test, data.classes, answer, pictures)
    keys = torch.zeros((len(wrong), classes, classes), dtype=torch.int64, device=owner.device)
    refusals = torch.zeros((), dtype=torch.int64, device=owner.device)
    with owner.autocast():  # held over all passes: the weights are rounded to bfloat16 once
        batches = Batches(test, owner, batch_size, classes)
        plain = identity(params.model.normalisation).to_input
        passes: list[_Pass] = [("plain", owner, plain, ())]
        if transform is not None:
            thief = _thief(owner, unlabelled, batch_size, plain)
            own = transform.to_input if encrypted is None else transform.encrypted_to_input
            passes += [("plain_bn", thief, plain, ()), ("correct", owner, own, transform.features)]
        count = _Counter(progress, len(batches) * (len(passes) + len(wrong)))
        for batch in batches:
            for name, predictor, to_input, features in passes:
                images = batch.images
                if name == "correct" and encrypted is not None:
                    images = owner.upload(encrypted[batch.rows])
                tally.add(name, batch, predictor(predictor.inputs(to_input, images), features))
                count()
        if rows := tally.keep_extremes(min(pictures, EXTREMES)):
            for name, predictor, to_input, features in passes:
                known = encrypted if name == "correct" else None
                images = owner.upload((test.images if known is None else known)[rows])
                tally.keep(name, rows, predictor(predictor.inputs(to_input, images), features))
        _judge_wrong(owner, batches, wrong, keys, refusals, tally, count)
    share = refusals.item() / max(1, len(wrong) * len(test))
    return tally.result(floors, _key_scores(keys, share, transform))


_Pass = tuple[str, Predictor, ToInput, Sequence["FeaturePlan"]]


def _judge_wrong(
    owner: Predictor,
    batches: Batches,
    wrong: Sequence[Transform],
    keys: Tensor,
    refusals: Tensor,
    tally: Tally,
    count: _Counter,
) -> None:
    """Add each wrong key's confusion matrix to ``keys``, the images refused under it to
    ``refusals``, and to ``tally`` the first's pictures."""
    number = 0
    for some in _groups(owner, batches, wrong):
        for batch in batches:
            for index, other in enumerate(some, start=number):
                prediction = owner(owner.inputs(other.to_input, batch.images), other.features)
                keys[index] += batch.targets.matrices(prediction).sum(dim=0)
                refusals += refused(prediction, tally.answer).sum()
                if index == 0:
                    tally.keep("incorrect", batch.numbers, prediction)
                count()
        number += len(some)


def _groups(
    owner: Predictor, batches: Batches, wrong: Sequence[Transform]
) -> Iterator[Sequence[Transform]]:
    """``KEYS_AT_ONCE`` wrong keys after another; a GPU need not wait for the next ones' plans."""
    starts = range(0, len(wrong), KEYS_AT_ONCE)
    if owner.device.type == "cpu":
        return (wrong[start : start + KEYS_AT_ONCE] for start in starts)
    empty = next(iter(batches)).images[:0]

    def plan(start: int) -> Sequence[Transform]:
        some = wrong[start : start + KEYS_AT_ONCE]
        for other in some:
            owner.inputs(other.to_input, empty)  # lays the plan out for images of this size
        return some

    return ahead(plan, starts)


def ahead(make: Callable[[int], Made], items: Iterable[int]) -> Iterator[Made]:
    """``map(make, items)``, with the next one made in a thread while one is in use.

    >>> [*ahead(abs, [1, -2, 3])]
    [1, 2, 3]
    """
    following: Future[Made] | None = None
    with ThreadPoolExecutor(1) as pool:
        for item in items:
            ready, following = following, pool.submit(make, item)
            if ready is not None:
                yield ready.result()
        if following is not None:
            yield following.result()


def _thief(owner: Predictor, unlabelled: np.ndarray, batch_size: int, plain: ToInput) -> Predictor:
    """The same network with batch-norm statistics of plain images."""

    def inputs() -> Iterator[Tensor]:
        for rows in slices(len(unlabelled), batch_size):
            # A last batch of one image may have no variance; the others stand for it.
            if rows.start == 0 or rows.stop - rows.start > 1:
                yield owner.inputs(plain, owner.upload(unlabelled[rows]))

    return Predictor(reestimate_batch_norm(owner.model, inputs()), owner.device, owner.bf16)


def _key_scores(
    matrices: Tensor, refused_share: float, transform: Transform | None
) -> KeyScores | None:
    if transform is None:
        return None
    bits = transform.key_space_bits
    others = round(2**bits) - 1 if bits < 32 else None
    miou = tuple(mean_iou(matrix) for matrix in matrices)
    return KeyScores(
        keys=len(miou),
        all_plans=others is not None and len(miou) >= others,
        mean=float(np.mean(miou)),
        std=float(np.std(miou)),
        p95=float(np.percentile(miou, 95)),
        max=max(miou),
        min=min(miou),
        refused=refused_share,
        miou=miou,
    )


class _Counter:
    def __init__(self, progress: Progress | None, total: int) -> None:
        self.progress, self.total, self.done = progress, total, 0

    def __call__(self) -> None:
        self.done += 1
        if self.progress is not None:
            self.progress(self.done, self.total)


def _check(
    test: Split,
    transform: Transform | None,
    wrong: Sequence[Transform],
    encrypted: np.ndarray | None,
) -> None:
    if not len(test):
        raise EvaluationError(
            "the test split must have images", got="none", fix="check data.test_split"
        )
    if transform is not None and not wrong:
        raise EvaluationError(
            "a lock must be judged by at least one wrong key",
            got="none",
            fix="use a lock with more than one plan and evaluate.wrong_keys of 2 or more",
        )
    if transform is None and (wrong or encrypted is not None):
        raise EvaluationError("the baseline has plain access only", got="keys or encrypted images")
    if encrypted is not None and encrypted.shape != test.images.shape:
        raise EvaluationError(
            "the encrypted test split must hold the images of the plain one",
            got=f"{encrypted.shape} and {test.images.shape}",
            fix="run `dvc repro` to encrypt it again",
        )
