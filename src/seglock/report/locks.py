"""The locks of a report: their result files read together, and which stand in one panel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from seglock.errors import ReportError
from seglock.results.evaluation import EVALUATIONS, Evaluation, PictureScore, Rank, Scores
from seglock.results.pictures import Pictures
from seglock.results.training import MODELS, Epoch, Training, read_history
from seglock.steps import split_steps


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

    @property
    def ranked(self) -> list[tuple[int, Rank]]:
        """Which pictures are the owner's worst and best; they come after all others."""
        return [(n, score.rank) for n, score in enumerate(self.scores.pictures) if score.rank]

    @property
    def ids(self) -> list[str]:
        """The names of the pictures that all locks have: those that are neither worst nor best."""
        return [str(name) for name in self.pictures.ids[: len(self.pictures) - len(self.ranked)]]

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
    first = (baseline_of(results) or results[0]).evaluation
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


@dataclass(frozen=True)
class Series:
    """Locks that differ in their block side M only, by ascending M."""

    label: str
    results: tuple[LockResult, ...]

    @property
    def block_sizes(self) -> list[int]:
        """M of each lock, ascending, 0 without steps on images; a side occurs twice if two locks
        share it."""
        return [result.evaluation.block_size or 0 for result in self.results]


def method_label(steps: Sequence[str]) -> str:
    """The methods of a lock in words, without the block side.

    >>> method_label(["np-4-f25", "shf-4", "chp-layer2"])
    'NP 25% + SHF + CHP layer2'
    """
    images, features = split_steps(steps)
    named = [
        step.method.upper() + ("" if step.percent is None else f" {step.percent}%")
        for step in images
    ]
    return " + ".join([*named, *(f"{step.method.upper()} {step.layer}" for step in features)])


def group_series(results: Sequence[LockResult]) -> list[Series]:
    """All locks but the baseline, by method and share, those that refuse apart, and where they
    differ by key and by FFX's password and divisor.

    Series keep the order in which their first lock is listed.
    """
    locked = [result for result in results if not result.evaluation.is_baseline]
    several_keys = len({result.evaluation.key for result in locked}) > 1
    with_ffx = [r for r in locked if "ffx" in r.evaluation.method.split("+")]
    several_passwords = len({result.evaluation.ffx_password for result in with_ffx}) > 1
    several_divisors = len({result.evaluation.ffx_divisor for result in with_ffx}) > 1
    groups: dict[str, list[LockResult]] = {}
    for result in locked:
        evaluation = result.evaluation
        label = method_label(evaluation.steps)
        if several_passwords and result in with_ffx:
            label += f", password {evaluation.ffx_password}"
        if several_divisors and result in with_ffx:
            label += f", divisor {evaluation.ffx_divisor or 'max'}"
        if evaluation.refuse:
            label += ", refusing"
        if several_keys and evaluation.key != "main":
            label += f", key {evaluation.key}"
        groups.setdefault(label, []).append(result)
    return [
        Series(label, tuple(sorted(group, key=lambda r: r.evaluation.block_size or 0)))
        for label, group in groups.items()
    ]


def baseline_of(results: Sequence[LockResult]) -> LockResult | None:
    """The lock without steps, if it is among them."""
    return next((result for result in results if result.evaluation.is_baseline), None)


def representatives(results: Sequence[LockResult], most: int = 6) -> list[LockResult]:
    """Locks for a figure with room for ``most``: all, or of each series the smallest M.

    The baseline comes along; the order is the one given.
    """
    if len(results) <= most:
        return list(results)
    kept = {group.results[0].lock for group in group_series(results)}
    return [r for r in results if r.evaluation.is_baseline or r.lock in kept]
