"""One job from its params to its figures, in whatever process computes it.

The key of a trial is made here, lives in this process and is never stored: what leaves is its id
and its Argon2id hash.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from seglock.errors import (
    AttackError,
    ConfigError,
    EvaluationError,
    ModelError,
    SeglockError,
    TrainingError,
    TransformError,
    in_short,
)
from seglock.search.executor import TrialJob, TrialResult

if TYPE_CHECKING:
    import numpy as np

    from seglock.config import Params
    from seglock.data import PreparedData
    from seglock.keys import SecretKey
    from seglock.training import EpochRow, TrainJob, TrainResult
    from seglock.transforms import Transform

UNLABELLED = 256
"""From how many plain images, at most, a thief re-estimates batch norm."""

PERMANENT = (
    TrainingError, EvaluationError, ModelError, ConfigError, TransformError, AttackError,
)  # fmt: skip
_CREDENTIALS = re.compile(r"(?<=://)[^/\s@]+@")


class RunTrial(Protocol):
    """What an executor calls for each job; `run_trial`, or a test's stand-in."""

    def __call__(
        self, job: TrialJob, *, scratch: Path, on_epoch: Callable[[EpochRow], bool], worker: str
    ) -> TrialResult: ...


def run_trial(
    job: TrialJob, *, scratch: Path, on_epoch: Callable[[EpochRow], bool], worker: str
) -> TrialResult:
    """Train one network and judge it on the split that ``search.split`` names.

    ``scratch``: a folder of this worker's own; what is written there is removed at the end, however
    it ends. ``on_epoch`` gets each epoch's row; True stops the training, and nothing is judged.
    ``worker`` names this worker in the result.

    Raises what opening the data, training and judging raise; see `failure`.
    """
    from seglock.config import RefuseParams, check_params
    from seglock.keys import PublicRecord, SecretKey
    from seglock.search.prepared import open_for, weights_for
    from seglock.training import TrainJob
    from seglock.training.runtime import Runtime
    from seglock.transforms import Unauthorised, compose

    params = check_params(job.params, where=f"the params of {job.id}")
    data, weights = open_for(job), weights_for(job)
    key = SecretKey.generate() if job.steps else None
    record = PublicRecord.of(key) if key else None
    password = params.search.space.ffx_password
    transform = compose(job.steps, key, password, normalisation=params.model.normalisation)
    unauthorised = None
    if key and job.refuse:
        unauthorised = Unauthorised(transform, key, RefuseParams(weight=job.refuse))
    curve: list[EpochRow] = []
    folder = scratch / job.id
    empty(folder)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        started = time.perf_counter()
        work = TrainJob(
            job.id, params, data, transform, weights, folder,
            resumable=False, unauthorised=unauthorised,
        )  # fmt: skip
        trained = _train(work, curve, on_epoch)
        between = time.perf_counter()
        scores = _judge(job, params, data, trained.weights, key, transform) if trained else None
        ended = time.perf_counter()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return TrialResult(
        job=job.id,
        scores=scores,
        curve=tuple(curve),
        stopped_at=curve[-1]["epoch"] if trained is None else None,
        key_id=record.id if record else None,
        key_hash=record.hash if record else None,
        key_space_bits=transform.key_space_bits if key else None,
        best_epoch=trained.best_epoch if trained else None,
        train_seconds=between - started,
        evaluate_seconds=ended - between,
        device=str(Runtime.of(params.train).device),
        worker=worker,
    )


class _StoppedEarly(Exception):  # noqa: N818 - no error: the training was told to stop
    pass


def _train(
    work: TrainJob, curve: list[EpochRow], on_epoch: Callable[[EpochRow], bool]
) -> TrainResult | None:
    """Train, adding to ``curve``; None where ``on_epoch`` stopped it."""
    from seglock.tracking import MemoryTracker
    from seglock.training import train

    def keep(row: EpochRow) -> None:
        curve.append(row)
        if on_epoch(row):
            raise _StoppedEarly

    try:
        return train(work, tracker=MemoryTracker(), progress=False, on_epoch=keep)
    except _StoppedEarly:
        return None


def _judge(
    job: TrialJob,
    params: Params,
    data: PreparedData,
    weights: Path,
    key: SecretKey | None,
    transform: Transform,
) -> dict[str, Any]:
    """What the owner and others get; under a lock, with ``search.thief``, its attacks too."""
    from seglock.evaluation import judge_lock
    from seglock.models import load_model
    from seglock.search.thief import attacked
    from seglock.transforms import incorrect_transforms

    search = params.search
    split = {"val": data.val, "test": data.test}[search.split]
    network = load_model(weights, params.model, data.num_classes)
    wrong: Sequence[Transform] = ()
    if key:
        wrong = incorrect_transforms(
            job.steps, key, search.wrong_keys, search.space.ffx_password,
            normalisation=transform.normalisation,
        )  # fmt: skip
    scores = judge_lock(
        network,
        data,
        params,
        test=split,
        unlabelled=unlabelled(data),
        transform=transform if key else None,
        wrong=wrong,
    ).scores.document()
    if key is None or search.thief.tier is None:
        return scores
    return attacked(
        scores, network=network, transform=transform, judged=split, data=data, params=params,
        lock=job.id,
    )  # fmt: skip


def unlabelled(data: PreparedData) -> np.ndarray:
    """At most ``UNLABELLED`` plain training images, evenly spaced: (N, 3, S, S) uint8."""
    from seglock.evaluation.tally import spread

    images: np.ndarray = data.train.images[list(spread(len(data.train), UNLABELLED))]
    return images


def empty(folder: Path) -> None:
    """Remove what a process that died left in ``folder``; what cannot be removed stays."""
    for left in folder.iterdir() if folder.is_dir() else ():
        if left.is_dir() and not left.is_symlink():
            shutil.rmtree(left, ignore_errors=True)
        else:
            with contextlib.suppress(OSError):
                left.unlink()


def failure(error: BaseException) -> tuple[str, bool]:
    """Why a job has no result, in one line without secrets, and whether it would fail anywhere.

    A machine is to blame for a full disk, memory that ran out, or data that it does not have;
    anything unknown may be tried again too.

    >>> failure(TrainingError("loss must be finite", got="nan"))
    ('loss must be finite, got nan', True)
    >>> failure(OSError(28, "No space left on device"))
    ('OSError: [Errno 28] No space left on device', False)
    """
    if isinstance(error, SeglockError):
        text = str(error)
    elif _is_near_secrets(error):
        # Only our own errors are known to keep a plan's values out of their words.
        text = f"{type(error).__name__} while a key or a transform was at work"
    else:
        text = f"{type(error).__name__}: {error}".removesuffix(": ")
    return in_short(_CREDENTIALS.sub("", text)), isinstance(error, PERMANENT)


def _is_near_secrets(error: BaseException) -> bool:
    """Whether the error passed through code that holds a key or a plan, or guesses one."""
    rooms = ("seglock.keys", "seglock.methods", "seglock.transforms", "seglock.attacks")
    frames = traceback.walk_tb(error.__traceback__)
    return any(frame.f_globals.get("__name__", "").startswith(rooms) for frame, _ in frames)
