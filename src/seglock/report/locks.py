"""All result files of the locks: data/evaluations/LOCK and data/models/LOCK, read together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from seglock.config import BASELINE
from seglock.errors import ReportError
from seglock.results.evaluation import EVALUATIONS, Evaluation, PictureScore, Scores
from seglock.results.pictures import Pictures
from seglock.results.training import MODELS, Epoch, Training, read_history


@dataclass(frozen=True)
class LockResult:
    """All result files of one lock."""

    evaluation: Evaluation
    training: Training
    history: tuple[Epoch, ...]
    pictures: Pictures

    @property
    def lock(self) -> str:
        """The lock's name."""
        return self.evaluation.lock

    @property
    def scores(self) -> Scores:
        """What the owner and everyone else get."""
        return self.evaluation.scores

    def picture_score(self, index: int) -> PictureScore:
        """The per-image scores of one picture; empty where none were written."""
        listed = self.scores.pictures
        return listed[index] if index < len(listed) else PictureScore(id=self.pictures.ids[index])


def read_results(root: Path, locks: Mapping[str, tuple[str, ...]]) -> list[LockResult]:
    """The results of ``locks`` (name -> steps), in that order.

    Raises ReportError, naming the stage to run, when a file is missing, damaged, or made for
    other steps or other data than the rest.
    """
    results = [_read_lock(root, name, steps) for name, steps in locks.items()]
    first = next((result for result in results if result.lock == BASELINE), results[0]).evaluation
    for result in results:
        for field in ("dataset", "dataset_digest", "classes", "image_side"):
            if getattr(result.evaluation, field) != getattr(first, field):
                raise ReportError(
                    "all locks of one report must be evaluated on the same data",
                    got=f"{field} of {result.lock} differs from that of {first.lock}",
                    fix="run dvc repro",
                )
    return results


def _read_lock(root: Path, lock: str, steps: tuple[str, ...]) -> LockResult:
    folder, fix = root / EVALUATIONS / lock, f"run dvc repro evaluate@{lock}"
    path = folder / "evaluation.json"
    evaluation = Evaluation.read(path, fix=fix)
    if evaluation.lock != lock or evaluation.steps != steps:
        raise ReportError(
            f"{path} must be about lock {lock} with steps [{', '.join(steps)}]",
            got=f"lock {evaluation.lock} with steps [{', '.join(evaluation.steps)}]",
            fix=fix,
        )
    model, train_fix = root / MODELS / lock, f"run dvc repro train@{lock}"
    return LockResult(
        evaluation=evaluation,
        training=Training.read(model / "training.json", fix=train_fix),
        history=read_history(model / "history.csv", train_fix),
        pictures=Pictures.read(folder / "pictures.npz", len(evaluation.classes), fix),
    )
