"""Stage ``package``: a trained lock as a folder that is served, logged and registered."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from seglock import __version__
from seglock.config import BASELINE, FOLDED, Params, find_lock, inside_fault, load_params
from seglock.errors import ReportError
from seglock.results.attack import read_attacks
from seglock.results.evaluation import EVALUATIONS, Evaluation
from seglock.results.standing import LockLimits
from seglock.stages.locks import WEIGHTS, OpenLock, open_lock, read_training
from seglock.stages.outputs import sole_writer
from seglock.stages.summary import read_evaluation
from seglock.stages.trained_run import trained_run

if TYPE_CHECKING:
    from seglock.data import PreparedData
    from seglock.serving.card import Standing
    from seglock.serving.description import Description
    from seglock.tracking.registry import Version

PACKAGES = Path("data/packages")
CHAMPION = "champion"
WEAKNESS = (
    "A folded lock falls at once to `stem-match` where the plain first convolution is public, and "
    "two customers' files, folded from one network, unfold each other."
)
_PREFIX = "seglock-"
_NETWORK = {"name", "width", "norm", "zero_init_residual"}


@dataclass(frozen=True)
class Packaged:
    """A package's folder, its version where it was registered, and whether it keeps the limits."""

    folder: Path
    standing: Standing
    version: Version | None


def package_locks(
    locks: Iterable[str] | None, root: Path, *, onnx: bool = False, register: bool = True
) -> list[Packaged]:
    """Write data/packages/LOCK for trained locks, and register each as ``seglock-LOCK``.

    locks: None for those of ``package.register``.

    A version that keeps ``search.max_drop`` and ``search.max_regained`` becomes the ``champion``,
    but for one that a key was folded into.

    Raises, before anything is written, what ``evaluate`` raises for a lock without a trained
    network or key; ReportError for one that was not evaluated, or evaluated with other weights;
    ConfigError for one whose key acts inside the network.
    """
    params = load_params(root / "params.yaml")
    (root / PACKAGES).mkdir(parents=True, exist_ok=True)  # the stage's output, of no lock too
    names = params.package.register if locks is None else locks
    for name in names:
        if fault := inside_fault(name, find_lock(params, name).steps):
            raise fault
    opened = [open_lock(name, params, root) for name in names]
    return [package_opened(one, params, root, onnx=onnx, register=register) for one in opened]


def package_opened(
    lock: OpenLock, params: Params, root: Path, *, onnx: bool = False, register: bool = True
) -> Packaged:
    """The same for one lock with its key, which the package never sees."""
    training = read_training(lock, root)
    evaluation = _evaluation(lock, root)

    from seglock.data import PreparedData
    from seglock.models import load_model
    from seglock.serving.card import judge, model_card, tags
    from seglock.serving.package import write_package

    data = PreparedData.open(root / "data" / "prepared")
    about = describe(lock, params, training.weights_sha256, data)
    attacks = read_attacks(root, [lock.name])
    limits = LockLimits.of(params.search)
    standing = judge(evaluation, read_evaluation(BASELINE, params, root), attacks, limits)
    if folded := lock.params.fold in FOLDED:
        reasons = (*standing.reasons, "Its key is folded in, which hides nothing.")
        standing = dataclasses.replace(standing, keeps=False, reasons=reasons)
    network = load_model(
        root / "data" / "models" / lock.name / WEIGHTS, params.model, data.num_classes
    )
    folder = root / PACKAGES / lock.name
    with sole_writer(root, "packages", lock.name):
        remark = WEAKNESS if folded else ""
        card = model_card(about, evaluation, attacks, standing, remark=remark)
        write_package(folder, network, about, card, onnx=onnx)
        version = None
        if register:
            with trained_run(lock.name, params, data, lock.record, training, root) as tracker:
                run_id = tracker.run_id
            version = _register(folder, lock.name, params, run_id, standing, tags(about, standing))
    return Packaged(folder, standing, version)


def describe(
    lock: OpenLock, params: Params, weights_sha256: str, data: PreparedData
) -> Description:
    """What a package says of a lock: public facts, but for FFX's divisor, which the key decides and
    every server needs."""
    from seglock.serving.description import Description

    transform = lock.transform()
    return Description(
        seglock=__version__,
        lock=lock.name,
        steps=tuple(lock.params.steps),
        ffx_password=lock.params.ffx_password if "ffx" in lock.params.method else None,
        key=dataclasses.asdict(lock.record) if lock.record else None,
        network=params.model.model_dump(mode="json", include=_NETWORK),
        classes=tuple(data.classes),
        image_side=data.image_side,
        dtype=transform.dtype_name,
        divisor=transform.max_value,
        mean=transform.normalisation.mean,
        std=transform.normalisation.std,
        data_digest=data.digest,
        weights_sha256=weights_sha256,
    )


def _register(
    folder: Path,
    lock: str,
    params: Params,
    run_id: str,
    standing: Standing,
    tags: Mapping[str, str],
) -> Version:
    from seglock.address import project_root
    from seglock.tracking.registry import Registry

    registry = Registry(project_root(), params.tracking)
    version = registry.register(
        folder, f"{_PREFIX}{lock}", run_id=run_id, description=str(standing), tags=tags
    )
    if standing.keeps:
        registry.point(CHAMPION, version)
    return version


def _evaluation(lock: OpenLock, root: Path) -> Evaluation:
    fix = f"run dvc repro evaluate@{lock.name}"
    path = root / EVALUATIONS / lock.name / "evaluation.json"
    found = Evaluation.read(path, fix=fix)
    if found.key_id != lock.key_id:
        raise ReportError(f"{path} must be of key {lock.key_id}", got=str(found.key_id), fix=fix)
    return found
