"""Stage ``train@LOCK``: a lock's network, trained, tracked, and written to data/models/LOCK.

The key is checked before torch is imported, the tracking server before anything is trained.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
import signal
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from seglock import __version__, files
from seglock.config import BASELINE, LockParams, Params, load_params, require_batch
from seglock.keys import DERIVATION_VERSION
from seglock.results.training import Training, write_history
from seglock.stages.locks import WEIGHTS, OpenLock, open_lock
from seglock.stages.outputs import sole_writer
from seglock.stages.run_tags import lock_tags, machine_tags, run_name, run_params
from seglock.stages.summary import summarise_lock
from seglock.stages.tell import tell_training

if TYPE_CHECKING:
    from seglock.data import PreparedData
    from seglock.tracking import Tracker
    from seglock.training import TrainJob, TrainResult

INTERRUPTED = 130
_DIGEST_SIZE = 16
Tell = Callable[[str], None] | None


def train_locks(locks: Iterable[str], root: Path, *, tell: Tell = None) -> None:
    """Train locks one after another and write data/models/LOCK of each.

    One that was stopped goes on where it was. Several in one process pay for torch once. Under
    ``torchrun`` every process calls this, and the first one writes and tracks. Ctrl-C and SIGTERM
    end it with exit code 130; the checkpoint stays.

    tell: gets a line before and after each.

    Raises KeyRefusedError, for any of the locks, before anything else is loaded, TrackingError
    when the tracking server cannot be reached, BusyError when another process trains the same lock.
    """
    params = load_params(root / "params.yaml")
    for lock in [open_lock(name, params, root) for name in locks]:
        train_opened(lock, params, root, tell=tell)


def train_opened(
    lock: OpenLock,
    params: Params,
    root: Path,
    *,
    tracked: bool = True,
    weights: Path | None = None,
    out: Path | None = None,
    rotated_from: str | None = None,
    tell: Tell = None,
) -> None:
    """The same for one lock with its key; what is not ``tracked`` is told to no run.

    weights, out: other folders than data/weights and data/models/LOCK. rotated_from: the run whose
    network this one goes on from under another key.
    """
    from seglock.address import project_root
    from seglock.data import PreparedData

    data = PreparedData.open(root / "data" / "prepared")
    recipe, count, side = params.train, len(data.train), data.image_side
    require_batch(dict(recipe), count)
    only = lock.params.fold == "only"
    if tell:
        how = "folded only" if only else f"{recipe.epochs} epochs"
        tell(f"{lock.name}: {count} images of {side}x{side}, {how}")

    from seglock.tracking import MemoryTracker
    from seglock.training import checkpoint_folder, fold_only, rank_of, require_variance, train

    require_variance(params, count)  # before a run is begun
    lock.check_network()
    weights = weights or root / "data" / "weights"
    digest = training_digest(params, lock.params, data.digest, weights, lock.key_id)
    folder = checkpoint_folder(project_root(), lock.name, digest)
    output = sole_writer(root, "models", lock.name)
    with (
        _held(folder, f"lock {lock.name}", output),
        _tracked(params, lock, data, root, folder)
        if tracked and rank_of() == 0
        else MemoryTracker(2 * digest) as tracker,
    ):
        job = _job(params, lock, data, weights, folder)
        result = fold_only(job) if only else train(job, tracker=tracker)
        if rank_of() == 0:
            if rotated_from:
                tracker.set_tags({"rotated_from": rotated_from})
            target = out or root / "data" / "models" / lock.name
            _write(target, lock, tracker, result, rotated_from)
            if tracked:
                summarise_lock(lock.name, params, root, {tracker.run_id}).tell(tracker)
            tracker.close()
            shutil.rmtree(folder)
    if tell:
        from seglock.report.numbers import duration, four

        tell(
            f"{lock.name}: validation mean IoU {four(result.val_miou)}, of epoch "
            f"{result.best_epoch}; trained for {duration(result.seconds)}"
        )


def train_plain(params: Params, root: Path, out: Path) -> Path:
    """Train the plain network that ``initial_weights: baseline`` starts from; returns ``out``.

    It starts from ``model.baseline_weights`` and is written to ``out`` as safetensors. It is what
    locks start from, not a result of its own, so it has no MLflow run.
    """
    from seglock.address import project_root
    from seglock.data import PreparedData
    from seglock.models import fetch_weights, weights_file
    from seglock.tracking import MemoryTracker
    from seglock.training import checkpoint_folder, rank_of, train

    start = params.model.baseline_weights
    model = params.model.model_copy(update={"initial_weights": start})
    params = params.model_copy(update={"model": model})
    plain = OpenLock("initial", params.locks[BASELINE], params.model)
    data = PreparedData.open(root / "data" / "prepared")
    with tempfile.TemporaryDirectory() as weights:
        fetch_weights(params.model, Path(weights), file=weights_file(start, root))
        digest = training_digest(params, plain.params, data.digest, Path(weights), None)
        folder = checkpoint_folder(project_root(), plain.name, digest)
        output = sole_writer(root, "weights")
        with _held(folder, "the plain network that locks start from", output):
            job = _job(params, plain, data, Path(weights), folder)
            result = train(job, tracker=MemoryTracker())
            if rank_of() == 0:
                files.write_bytes(out, result.weights.read_bytes())
                shutil.rmtree(folder)
    return out


def _job(
    params: Params, lock: OpenLock, data: PreparedData, weights: Path, folder: Path
) -> TrainJob:
    from seglock.training import TrainJob

    about = {"lock": lock.name, "network": params.model.name, "classes": json.dumps(data.classes)}
    if lock.key is not None:
        # The weights are a function of plan and data: without the nonce their digest in dvc.lock
        # would tell a right guess of a small key space from a wrong one.
        about |= {"key_id": lock.key.id, "nonce": lock.key.nonce(f"weights/{lock.name}").hex()}
    return TrainJob(
        lock=lock.name,
        params=params,
        data=data,
        transform=lock.transform(),
        weights=weights,
        checkpoints=folder,
        metadata=about,
        unauthorised=lock.unauthorised(),
        fold=lock.folding(),
    )


def training_digest(
    params: Params, lock: LockParams, data_digest: str, weights: Path, key_id: str | None
) -> str:
    """16 hexadecimal digits that name everything a training is a function of."""
    initial = [
        files.sha256_file(path) for path in sorted(weights.glob("weights.*")) if path.is_file()
    ]
    parts = {
        "version": __version__,
        "derivation": DERIVATION_VERSION,
        "lock": lock.model_dump(mode="json", exclude={"key"}),
        "key_id": key_id,
        "data_digest": data_digest,
        "weights": initial,
        "data": params.data.model_dump(mode="json"),
        "model": params.model.model_dump(mode="json"),
        "train": params.train.model_dump(mode="json"),
    }
    text = json.dumps(parts, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGEST_SIZE]


@contextlib.contextmanager
def _held(
    folder: Path, what: str, output: contextlib.AbstractContextManager[None]
) -> Iterator[None]:
    """Hold a checkpoint folder exclusively, and the output that the training will replace.

    A trainer with other params has another folder but the same output: an orphan of a killed
    ``dvc repro`` must not write its old model over a newer one. A stop from outside ends in one
    message, exit 130.
    """
    from seglock.training import rank_of, say

    first = rank_of() == 0
    try:
        with _terminable(), contextlib.ExitStack() as stack:
            if first:
                stack.enter_context(files.exclusive(folder, what=what))
                stack.enter_context(output)
            yield
    except KeyboardInterrupt:
        if first:
            say(f"stopped; its checkpoint stays in {folder}; run the same command to continue")
        raise SystemExit(INTERRUPTED) from None


@contextlib.contextmanager
def _terminable() -> Iterator[None]:
    """Let SIGTERM end the block as Ctrl-C does."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextlib.contextmanager
def _tracked(
    params: Params, lock: OpenLock, data: PreparedData, root: Path, folder: Path
) -> Iterator[Tracker]:
    """The lock's run, begun or taken up again; it ends FINISHED, FAILED or KILLED."""
    from seglock.address import project_root
    from seglock.tracking import open_run

    note = folder / "run.json"
    known = files.read_object(note, {"run_id": str})["run_id"] if note.exists() else None
    tags = lock_tags(lock.name, params, data, lock.record, root) | machine_tags(root)
    name = run_name(lock.name, params, data)
    with open_run(
        params.tracking, name=name, tags=tags, root=project_root(), run_id=known, system=True
    ) as tracker:
        files.write_json(note, {"run_id": tracker.run_id})
        tracker.log_params(run_params(lock.name, params))
        tracker.log_dataset(data.dataset, data.digest, use="training")
        yield tracker


def _write(
    target: Path,
    lock: OpenLock,
    tracker: Tracker,
    result: TrainResult,
    rotated_from: str | None = None,
) -> None:
    """Put the outputs in place as a whole, then record them in the run."""
    training = Training(
        lock=lock.name,
        run_id=tracker.run_id,
        best_epoch=result.best_epoch,
        epochs=len(result.history),
        val_loss=result.val_loss,
        val_miou=result.val_miou,
        seconds=round(result.seconds, 3),
        device=result.device,
        parameters=result.parameters,
        weights_sha256=files.sha256_file(result.weights),
        key_id=lock.key_id,
        resumed_from=result.resumed_from,
        rotated_from=rotated_from,
    )
    with files.replacing_folder(target) as out:
        shutil.copyfile(result.weights, out / WEIGHTS)
        training.write(out / "training.json")
        write_history(result.history, out / "history.csv")
    tell_training(tracker, target)
    tracker.whole = True  # these files have all that a process before this one may have told
