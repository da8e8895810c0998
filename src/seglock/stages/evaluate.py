"""Stage ``evaluate@LOCK``: what the key's owner and everyone else get from a trained lock.

The key is checked before torch is imported, the tracking server before anything is measured; the
result files are written before the run is told of them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seglock import files
from seglock.config import LockParams, Params, find_lock, load_params
from seglock.errors import KeyRefusedError, ModelError
from seglock.foreign import is_run_id
from seglock.keys import PublicRecord, SecretKey, load_key
from seglock.stages.evaluate_record import record_results, write_results
from seglock.stages.locks import lock_transform, wrong_transforms
from seglock.stages.outputs import sole_writer
from seglock.stages.trained_run import trained_run

if TYPE_CHECKING:
    import numpy as np

    from seglock.data import PreparedData
    from seglock.evaluation import AccessResult
    from seglock.transforms import Transform

WEIGHTS = "model.safetensors"


def evaluate(lock: str, root: Path) -> dict[str, Any]:
    """Judge one lock and write data/evaluations/LOCK; returns evaluation.json's values.

    Reads data/prepared, data/models/LOCK, the lock's encrypted test split and its key.

    Raises KeyRefusedError, before anything heavy, when the secret is missing, does not match its
    record, or is not the one the model was trained under; ModelError when the weights are
    missing, damaged or do not fit; DataError for damaged data; TrackingError when the tracking
    server cannot be reached.
    """
    params = load_params(root / "params.yaml")
    definition = find_lock(params, lock)
    key, record = load_lock_key(definition, root)
    training = read_training(lock, root, key)

    from seglock.data import PreparedData

    data = PreparedData.open(root / "data" / "prepared")
    measure = _prepare(lock, params, root, data, key)
    with (
        sole_writer(root, "evaluations", lock),
        trained_run(lock, params, data, record, training, root) as tracker,
    ):
        if key is not None:  # a tag: MLflow's params never change, and a second evaluation may
            tracker.set_tags({"wrong_keys": str(params.evaluate.wrong_keys)})
        tracker.log_dataset(data.dataset, data.digest, use="evaluation")
        result = measure()
        about = {
            **_describe(lock, params, data, key, tracker.run_id),
            "scores": result.to_dict(),
        }
        folder = write_results(root / "data" / "evaluations" / lock, about, result)
        record_results(tracker, folder, about)
    return about


def load_lock_key(
    definition: LockParams, root: Path
) -> tuple[SecretKey, PublicRecord] | tuple[None, None]:
    """A lock's secret, checked against its record; the baseline has neither."""
    if not definition.steps:
        return None, None
    record = PublicRecord.from_file(root / "data" / "keys" / f"{definition.key}.json")
    return load_key(definition.key, record=record), record


def read_training(lock: str, root: Path, key: SecretKey | None) -> dict[str, Any]:
    """training.json, checked against the key and the weights beside it."""
    folder = root / "data" / "models" / lock
    fix = f"run dvc repro train@{lock}"
    path = folder / "training.json"
    fields = {"run_id": str, "key_id": str | None, "weights_sha256": str}
    training = files.read_object(path, fields, error=ModelError, fix=fix)
    if not is_run_id(training["run_id"]):
        raise ModelError(f"{path} must name a run by its id", got=repr(training["run_id"]), fix=fix)
    own, trained = key.id if key else None, training["key_id"]
    if own != trained:
        raise KeyRefusedError(
            f"lock {lock} must be evaluated with the key its model was trained under",
            got=f"key {own or 'none'}, model of key {trained or 'none'}",
            fix=f"use key {trained}, or train again with dvc repro train@{lock}"
            if trained
            else f"train it again with dvc repro train@{lock}",
        )
    path = folder / WEIGHTS
    if not path.is_file():
        raise ModelError(f"{path} must exist", got="no such file", fix=f"{fix}, or dvc pull it")
    if files.sha256_file(path) != training["weights_sha256"]:
        raise ModelError(
            f"{path} must be the weights that training.json tells of",
            got="other bytes",
            fix=f"restore it with dvc checkout, or {fix}",
        )
    return training


def _prepare(
    lock: str, params: Params, root: Path, data: PreparedData, key: SecretKey | None
) -> Callable[[], AccessResult]:
    """Open all that is measured, so that whatever is missing is found before a run begins."""
    from seglock.evaluation import evaluate_lock, floors
    from seglock.models import load_model, pick_device

    definition = params.locks[lock]
    transform: Transform | None = None
    wrong: Sequence[Transform] = []
    encrypted: np.ndarray | None = None
    if key is not None:
        from seglock.data import open_encrypted
        from seglock.stages.encrypt import ENCRYPTED_FILE, encryption_nonce

        transform = lock_transform(definition, key)
        wrong = wrong_transforms(definition, key, params.evaluate.wrong_keys)
        file = root / "data" / "encrypted" / lock / ENCRYPTED_FILE
        encrypted = open_encrypted(file, nonce=encryption_nonce(key, lock, definition))
    device = pick_device(params.train.device)
    model = load_model(root / "data" / "models" / lock / WEIGHTS, params.model, data.num_classes)

    def measure() -> AccessResult:
        with _progress(lock) as progress:
            return evaluate_lock(
                model,
                test=data.test,
                unlabelled=data.val.images,
                transform=transform,
                wrong=wrong,
                encrypted=encrypted,
                classes=data.classes,
                floors=floors(data.train.masks, data.test.masks, data.num_classes),
                device=device,
                batch_size=params.evaluate.batch_size,
                pictures=params.evaluate.pictures,
                progress=progress,
                bf16=params.train.bf16,
            )

    return measure


@contextlib.contextmanager
def _progress(lock: str) -> Iterator[Callable[[int, int], None]]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=True)
    columns = (
        TextColumn("[bold]{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("batches"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(f"evaluate {lock}")
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _describe(
    lock: str, params: Params, data: PreparedData, key: SecretKey | None, run_id: str
) -> dict[str, Any]:
    definition = params.locks[lock]
    transform = lock_transform(definition, key)
    return {
        "lock": lock,
        "method": definition.method,
        "steps": definition.steps,
        "block_size": definition.block_size,
        "key": definition.key if key else None,
        "key_id": key.id if key else None,
        "ffx_password": definition.ffx_password,
        "ffx_divisor": definition.ffx_divisor,
        "key_space_bits": transform.key_space_bits if key else None,
        "run_id": run_id,
        "dataset": data.dataset,
        "dataset_digest": data.digest,
        "classes": list(data.classes),
        "image_side": data.image_side,
        "model": params.model.name,
        "seed": params.train.seed,
    }
