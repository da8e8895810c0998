"""evaluation.json and training.json as types; a file that does not fit them is damaged."""

from __future__ import annotations

from typing import Annotated, Any, Self, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError

from seglock.config import BASELINE
from seglock.errors import ReportError
from seglock.foreign import is_run_id

Kind = TypeVar("Kind", bound=BaseModel)


class Section(BaseModel):
    """Frozen; numbers are finite. Unknown fields are left to later versions."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


def _check_run_id(text: str) -> str:
    if not is_run_id(text):
        raise ValueError("must be a run's id")
    return text


RunId = Annotated[str, AfterValidator(_check_run_id)]


class Score(Section):
    """One access: mean IoU, IoU of each class (None: not in the test split), mean over images."""

    miou: float
    iou: dict[str, float | None]
    per_image_mean: float | None = None


class Floors(Section):
    """What needs no model: the best single class, and the per-pixel majority of the masks."""

    constant: float
    prior: float
    floor: float


class Incorrect(Section):
    """Mean IoU over the wrong keys."""

    keys: int
    all_plans: bool = False
    mean: float
    std: float
    p95: float
    max: float
    min: float
    miou: tuple[float, ...] = ()


class PictureScore(Section):
    """Mean IoU of one test image under each access."""

    id: str
    correct: float | None = None
    plain: float | None = None
    incorrect: float | None = None


class Scores(Section):
    """Everything measured about one lock. The baseline has ``plain`` only."""

    floors: Floors
    correct: Score | None = None
    plain: Score
    plain_bn: Score | None = None
    incorrect: Incorrect | None = None
    owner_miou: float
    unauthorised: float | None = None
    regained: float | None = None
    pictures: tuple[PictureScore, ...] = ()

    @property
    def owner(self) -> Score:
        """What the key's owner gets; of the baseline, what everyone gets."""
        return self.correct or self.plain


class Evaluation(Section):
    """evaluation.json: which lock, on which data, and its scores."""

    lock: str
    method: str
    steps: tuple[str, ...]
    block_size: int | None = None
    key: str | None = None
    key_id: str | None = None
    ffx_password: str | None = None
    ffx_divisor: int | None = None
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

    @classmethod
    def check(cls, values: Any, *, where: str = "evaluation", fix: str | None = None) -> Self:
        """Validate plain values; raises ReportError naming ``where`` and the first faults."""
        return checked(cls, values, where=where, fix=fix)


class Training(Section):
    """training.json: how the weights came to be."""

    run_id: RunId | None = None
    best_epoch: int
    epochs: int
    val_loss: float | None = None
    val_miou: float | None = None
    seconds: float | None = None
    device: str | None = None
    parameters: int | None = None


def checked(kind: type[Kind], values: Any, *, where: str, fix: str | None) -> Kind:
    """``values`` as ``kind``, or a ReportError that lists up to three faults."""
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        faults = [
            f"{'.'.join(map(str, fault['loc'])) or 'file'}: {fault['msg'].lower()}"
            for fault in error.errors()[:3]
        ]
        raise ReportError(f"{where} must be whole", got="; ".join(faults), fix=fix) from error
