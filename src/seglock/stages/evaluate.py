"""Stage ``evaluate@LOCK``: what the key's owner and everyone else get from a trained lock.

The key is checked before torch is imported, the tracking server before anything is measured; the
result files are written before the run is told of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from seglock import files
from seglock.config import Params, load_params
from seglock.results.evaluation import EVALUATIONS, Evaluation, Scores
from seglock.results.metrics import headline, lock_metrics
from seglock.stages.encrypt import ENCRYPTED_FILE
from seglock.stages.locks import WEIGHTS, OpenLock, open_lock, read_training
from seglock.stages.outputs import sole_writer
from seglock.stages.summary import summarise_lock
from seglock.stages.tell import tell_result
from seglock.stages.trained_run import trained_run

if TYPE_CHECKING:
    from seglock.data import PreparedData
    from seglock.evaluation import AccessResult
    from seglock.results.pictures import Pictures

Progress = Callable[[str, int, int | None], None]


def evaluate_locks(
    locks: Iterable[str],
    root: Path,
    *,
    progress: Progress | None = None,
    tell: Callable[[str], None] | None = None,
) -> list[Evaluation]:
    """Judge locks one after another; returns what each data/evaluations/LOCK/evaluation.json says.

    Reads data/prepared, data/models/LOCK, the lock's encrypted test split and its key.
    tell: gets a line before and after each.

    Raises KeyRefusedError, before anything heavy, when the secret is missing, does not match its
    record, or is not the one the model was trained under; ModelError when the weights are
    missing, damaged or do not fit; DataError for damaged data; TrackingError when the tracking
    server cannot be reached.
    """
    params = load_params(root / "params.yaml")
    found = []
    for lock in [open_lock(name, params, root) for name in locks]:
        if tell:
            wrong = f"with its key and {params.evaluate.wrong_keys} wrong ones"
            tell(f"{lock.name}: judged {wrong if lock.key else 'without a key'}")
        found.append(evaluate_opened(lock, params, root, progress=progress))
        if tell:
            tell(f"{lock.name}: {_in_short(found[-1].scores)}")
    return found


def evaluate_opened(
    lock: OpenLock,
    params: Params,
    root: Path,
    *,
    tracked: bool = True,
    progress: Progress | None = None,
) -> Evaluation:
    """The same for one lock with its key; what is not ``tracked`` is told to no run."""
    training = read_training(lock, root)

    from seglock.data import PreparedData
    from seglock.tracking import MemoryTracker

    data = PreparedData.open(root / "data" / "prepared")
    measure = _prepare(lock, params, root, data, progress)
    with (
        sole_writer(root, "evaluations", lock.name),
        trained_run(lock.name, params, data, lock.record, training, root)
        if tracked
        else MemoryTracker(training.run_id) as tracker,
    ):
        if lock.key is not None:  # a tag: MLflow's params never change, and a second evaluation may
            tracker.set_tags({"wrong_keys": str(params.evaluate.wrong_keys)})
        tracker.log_dataset(data.dataset, data.digest, use="evaluation")
        result = measure()
        found = _evaluation(lock, params, data, tracker.run_id, result.scores)
        folder = root / EVALUATIONS / lock.name
        _write(folder, found, result.pictures)
        if tracked:
            tell_result(tracker, folder / "evaluation.json", "evaluation")
            runs = {tracker.run_id, training.run_id}
            summarise_lock(lock.name, params, root, runs).tell(tracker)
    return found


def _prepare(
    lock: OpenLock, params: Params, root: Path, data: PreparedData, progress: Progress | None
) -> Callable[[], AccessResult]:
    """Open all that is measured, so that whatever is missing is found before a run begins."""
    from seglock.data import open_encrypted
    from seglock.evaluation import judge_lock
    from seglock.models import load_model, pick_device

    encrypted = None
    if lock.key is not None:
        file = root / "data" / "encrypted" / lock.name / ENCRYPTED_FILE
        encrypted = open_encrypted(file, nonce=lock.encryption_nonce())
    transform = lock.transform() if lock.key else None
    wrong = lock.wrong_transforms(params.evaluate.wrong_keys)
    pick_device(params.train.device)
    weights = root / "data" / "models" / lock.name / WEIGHTS
    model = load_model(weights, params.model, data.num_classes)

    def measure() -> AccessResult:
        return judge_lock(
            model,
            data,
            params,
            test=data.test,
            unlabelled=data.val.images,
            transform=transform,
            wrong=wrong,
            encrypted=encrypted,
            pictures=params.evaluate.pictures,
            progress=progress and partial(progress, f"evaluating {lock.name}"),
        )

    return measure


def _in_short(scores: Scores) -> str:
    from seglock.report.numbers import four

    if scores.incorrect is None or scores.plain_bn is None:
        return f"mean IoU {four(scores.owner_miou)}"
    return (
        f"mean IoU {four(scores.owner_miou)} with its key, {four(scores.plain.miou)} without, "
        f"{four(scores.plain_bn.miou)} with new statistics, {four(scores.incorrect.mean)} with "
        f"wrong keys ({four(scores.incorrect.max)} at most)"
    )


def _evaluation(
    lock: OpenLock, params: Params, data: PreparedData, run_id: str, scores: Scores
) -> Evaluation:
    definition, key = lock.params, lock.key
    return Evaluation(
        lock=lock.name,
        method=definition.method,
        steps=tuple(definition.steps),
        block_size=definition.block_size,
        key=definition.key if key else None,
        key_id=lock.key_id,
        ffx_password=definition.ffx_password,
        ffx_divisor=definition.ffx_divisor,
        refuse=definition.refuse.weight if definition.refuse else None,
        key_space_bits=lock.transform().key_space_bits if key else None,
        run_id=run_id,
        dataset=data.dataset,
        dataset_digest=data.digest,
        classes=tuple(data.classes),
        image_side=data.image_side,
        model=params.model.name,
        seed=params.train.seed,
        scores=scores,
    )


def _write(target: Path, found: Evaluation, pictures: Pictures) -> None:
    """Write evaluation.json, metrics.json, keys.csv and pictures.npz into ``target``."""
    keys = found.scores.incorrect.miou if found.scores.incorrect else ()
    table = "key,miou\n" + "".join(f"{number},{miou!r}\n" for number, miou in enumerate(keys))
    with files.replacing_folder(target) as out:
        found.write(out / "evaluation.json")
        files.write_json(out / "metrics.json", headline(lock_metrics(found, None, None)))
        files.write_text(out / "keys.csv", table)
        pictures.write(out / "pictures.npz")
