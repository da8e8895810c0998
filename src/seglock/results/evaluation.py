"""evaluation.json: what the key's owner and everyone else get from one lock's model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, Self

from seglock.config import BASELINE
from seglock.results.attack import regained
from seglock.results.record import Record, RunId

EVALUATIONS = Path("data/evaluations")
Rank = Literal["worst", "best"]


class Score(Record):
    """One kind of access. Figures are IoU, 0 to 1; None where a class does not occur.

    confusion: pixels of each true class, a row each, that were taken for each class, (C, C); None
    in files of versions that did not keep it.
    refused: the share of the images, 0 to 1, that are answered with one class at every pixel, the
    one that the training masks have most: what a lock with ``refuse`` answers without the key.
    None in files of versions that did not measure it, here and below.
    """

    miou: float
    iou: dict[str, float | None]
    per_image_mean: float | None = None
    refused: float | None = None
    confusion: tuple[tuple[int, ...], ...] | None = None


class Floors(Record):
    """Mean IoU, 0 to 1, of two guesses that never see an image; ``floor`` is the larger one.

    ``constant``: the best single class everywhere. ``prior``: at each pixel the class that the
    training masks have there most often.
    """

    constant: float
    prior: float
    floor: float


class KeyScores(Record):
    """Mean IoU under each wrong key; ``all_plans`` when no other plan exists.

    ``mean`` is the paper's figure for "incorrect"; ``std`` is divided by the number of keys;
    ``p95``, the 95th percentile, linear between keys, is what a thief with some luck gets.
    ``refused`` is the share of all their images.
    """

    keys: int
    all_plans: bool = False
    mean: float
    std: float
    p95: float
    max: float
    min: float
    refused: float | None = None
    miou: tuple[float, ...] = ()


class PictureScore(Record):
    """Mean IoU of one test image; None where there is no such access, or all of it is void.

    rank: whether it was kept as one of the owner's worst or best, the first of them first; None
    for those that are spread over the split.
    """

    id: str
    rank: Rank | None = None
    correct: float | None = None
    plain: float | None = None
    incorrect: float | None = None


class Scores(Record):
    """One lock judged; `of` makes it. The baseline has ``plain`` only.

    owner_miou: what the key's owner gets; of the baseline, what everyone gets. unauthorised: the
    best someone without the key gets: plain, plain with new statistics, 95th percentile of wrong
    keys. regained: see `attack.regained`. refused: how often a thief is refused, whichever of the
    three he tries: the least share of them; None for the baseline.
    """

    floors: Floors
    correct: Score | None = None
    plain: Score
    plain_bn: Score | None = None
    incorrect: KeyScores | None = None
    owner_miou: float
    unauthorised: float | None = None
    regained: float | None = None
    refused: float | None = None
    pictures: tuple[PictureScore, ...] = ()

    @classmethod
    def of(
        cls,
        floors: Floors,
        plain: Score,
        correct: Score | None = None,
        plain_bn: Score | None = None,
        incorrect: KeyScores | None = None,
        pictures: tuple[PictureScore, ...] = (),
    ) -> Self:
        """What was measured, with what follows from it."""
        owner = (correct or plain).miou
        best = None
        if plain_bn is not None and incorrect is not None:
            best = max(plain.miou, plain_bn.miou, incorrect.p95)
        return cls(
            floors=floors,
            correct=correct,
            plain=plain,
            plain_bn=plain_bn,
            incorrect=incorrect,
            owner_miou=owner,
            unauthorised=best,
            regained=None if best is None else regained(best, owner=owner, floor=floors.floor),
            refused=_least((plain, plain_bn, incorrect)),
            pictures=pictures,
        )

    @property
    def owner(self) -> Score:
        """What the key's owner gets; of the baseline, what everyone gets."""
        return self.correct or self.plain


def _least(tried: Sequence[Score | KeyScores | None]) -> float | None:
    known = [score.refused for score in tried if score and score.refused is not None]
    return min(known) if len(known) == len(tried) else None


class Evaluation(Record):
    """evaluation.json: which lock, on which data, and its scores.

    refuse: the weight of the refusal that its network was taught; None where it was not.
    """

    lock: str
    method: str
    steps: tuple[str, ...]
    block_size: int | None = None
    key: str | None = None
    key_id: str | None = None
    ffx_password: str | None = None
    ffx_divisor: int | None = None
    refuse: float | None = None
    key_space_bits: float | None = None
    run_id: RunId | None = None
    dataset: str
    dataset_digest: str | None = None
    classes: tuple[str, ...]
    image_side: int
    model: str
    seed: int
    scores: Scores

    @property
    def is_baseline(self) -> bool:
        """True for the lock without steps."""
        return self.lock == BASELINE
