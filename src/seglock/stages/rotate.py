"""``seglock rotate``: a leaked key is replaced by training on under a new one.

The network that anyone with the old key may have stays open to it. What changes is every later one:
from the locked weights, for a share of the epochs, under a new key, while images under the old one
are to get one class everywhere, until it is worth no more than any other wrong key. Only then is
anything of the project replaced. A lock with ``fold: only`` is folded again instead: in seconds,
and the old key is a wrong one like any other, but tells the new one to who has the old file.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from seglock import files
from seglock.config import BASELINE, Params, load_params, set_lock_key
from seglock.errors import ConfigError, EvaluationError
from seglock.keys import KeyStore, load_key
from seglock.results.training import MODELS, Training
from seglock.stages.key import publish_keys
from seglock.stages.locks import WEIGHTS, OpenLock, open_lock, read_training
from seglock.stages.weights import WEIGHTS_FOLDER

if TYPE_CHECKING:
    from seglock.results.evaluation import KeyScores

ROTATIONS = Path(".seglock/rotations")
SHARE = 0.5
"""Of the epochs, unless told otherwise: docs/project.md has the figures."""


@dataclass(frozen=True)
class Rotation:
    """What a rotation came to: keys by name, and mean IoU on the test split."""

    lock: str
    old_key: str
    new_key: str
    epochs: int
    owner: float
    old: float
    wrong: float
    retired: tuple[str, ...]


def rotate_lock(
    name: str, root: Path, *, epochs: int | None = None, tell: Callable[[str], None] = print
) -> Rotation:
    """Train a lock's network on under a new key, and put both in the place of the old ones.

    epochs: how many; default: `SHARE` of ``train.epochs``. Stopped, the same command goes on with
    the same new key. data/models/LOCK, ``key`` of the lock in params.yaml and data/keys change
    together at the end; versions of the registry are retired then.

    Raises EvaluationError, with nothing replaced, where the old key still gets more than the best
    of ``evaluate.wrong_keys`` others; what ``train`` and ``evaluate`` raise; ConfigError for the
    baseline.
    """
    params = load_params(root / "params.yaml")
    if name == BASELINE:
        raise ConfigError("a lock to rotate must have a key", got=BASELINE, fix="name another")
    old = open_lock(name, params, root)
    work = root / ROTATIONS / f"{name}-{old.key_id}"
    files.private_folder(work)
    key_name = _new_key(old.params.key, work)
    tell(f"{name}: from key {old.params.key} to key {key_name}; work in {work}")
    new, changed = under(old, key_name, params, epochs or math.ceil(SHARE * params.train.epochs))
    judged = work / "judged.json"
    if not judged.exists():
        model = train_on(new, changed, root, work, read_training(old, root))
        owner, scores = judge_rotation(old, new, changed, root, model)
        epochs = 0 if new.params.fold else changed.train.epochs
        files.write_json(judged, _judged(name, epochs, owner, scores))
    figures = files.read_json(judged)
    with files.replacing_folder(root / MODELS / name) as out:
        shutil.copytree(work / "model", out, dirs_exist_ok=True)
    retired = _retire(name, params, f"key {old.key_id} was replaced by key {new.key_id}")
    set_lock_key(root / "params.yaml", name, key_name)  # a stop before this, and all is done again
    publish_keys(load_params(root / "params.yaml"), root / "data" / "keys")
    shutil.rmtree(work)
    return Rotation(name, old.params.key, key_name, retired=retired, **figures)


def _judged(name: str, epochs: int, owner: float, scores: KeyScores) -> dict[str, float]:
    stale, *others = scores.miou
    if epochs and stale > max(others):
        raise EvaluationError(
            f"the old key of {name} must get no more than {len(others)} other wrong ones",
            got=f"{stale:.4f} of {max(others):.4f} after {epochs} epochs",
            fix=f"run `seglock rotate --lock {name} --epochs {2 * epochs}`; nothing was replaced",
        )
    return {"epochs": epochs, "owner": owner, "old": stale, "wrong": max(others)}


def under(old: OpenLock, key: str, params: Params, epochs: int) -> tuple[OpenLock, Params]:
    """The lock under another key, and the params of training it on."""
    kept = old.params.fold if old.params.fold == "only" else None  # the others are trained on
    lock = old.params.model_copy(update={"key": key, "fold": kept})
    model = params.model.model_copy(update={"initial_weights": "rotated.safetensors"})
    train = params.train.model_copy(update={"epochs": epochs})
    changed = params.model_copy(
        update={"locks": params.locks | {old.name: lock}, "model": model, "train": train}
    )
    store = KeyStore()
    secret, record = load_key(key, store=store), store.record(key)
    return OpenLock(old.name, lock, old.model, secret, record, old), changed


def train_on(
    lock: OpenLock,
    params: Params,
    root: Path,
    work: Path,
    before: Training,
    *,
    tracked: bool = True,
) -> Path:
    """Train a lock from the weights in data/models, or fold it into those in data/weights; returns
    the folder of what came of it."""
    from seglock.models import fetch_weights
    from seglock.stages.train import train_opened

    weights, out = root / WEIGHTS_FOLDER, work / "model"
    if lock.params.fold is None:
        weights = work / "weights"
        weights.mkdir(exist_ok=True)
        fetch_weights(params.model, weights, file=root / MODELS / lock.name / WEIGHTS)
    train_opened(
        lock, params, root, weights=weights, out=out, rotated_from=before.run_id, tracked=tracked
    )
    return out


def judge_rotation(
    old: OpenLock, new: OpenLock, params: Params, root: Path, model: Path
) -> tuple[float, KeyScores]:
    """What the new owner has, and wrong keys, of which the old one is the first."""
    from seglock.data import PreparedData
    from seglock.evaluation import judge_lock
    from seglock.models import load_model

    data = PreparedData.open(root / "data" / "prepared")
    scores = judge_lock(
        load_model(model / WEIGHTS, params.model, data.num_classes),
        data,
        params,
        test=data.test,
        unlabelled=data.val.images,
        transform=new.transform(),
        wrong=[old.transform(), *new.wrong_transforms(params.evaluate.wrong_keys)],
    ).scores
    assert scores.incorrect is not None
    return scores.owner_miou, scores.incorrect


def _new_key(old: str, work: Path) -> str:
    """The new key's name, the same one each time that a rotation goes on."""
    note, store = work / "rotation.json", KeyStore()
    if note.exists():
        name: str = files.read_object(note, {"key": str})["key"]
    else:
        taken = store.names()
        name = next(one for n in range(2, len(taken) + 3) if (one := f"{old}-{n}") not in taken)
        files.write_json(note, {"key": name})
    if name not in store:
        store.new(name)
    return name


def _retire(name: str, params: Params, why: str) -> tuple[str, ...]:
    from seglock.address import project_root
    from seglock.tracking.registry import Registry

    registry = Registry(project_root(), params.tracking)
    versions = registry.versions(f"seglock-{name}")
    for version in versions:
        registry.retire(version, why)
    return tuple(version.address for version in versions)
