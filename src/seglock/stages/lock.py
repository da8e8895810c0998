"""``seglock lock``: a plain network's package under a key, folded instead of trained; seconds."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from seglock import files
from seglock.config import BASELINE, LockParams, Params, load_params, step_faults
from seglock.errors import ConfigError, ModelError
from seglock.keys import KeyStore, PublicRecord, load_key
from seglock.methods.ffx import FROM_KEY
from seglock.results.training import MODELS
from seglock.stages.locks import WEIGHTS, OpenLock, open_lock, read_training
from seglock.stages.package import WEAKNESS, describe
from seglock.steps import split_steps

if TYPE_CHECKING:
    import torch
    from torch import nn

    from seglock.data import PreparedData
    from seglock.transforms import Transform

_IMAGES = 4
_ROUNDING = 1e-3
"""Of the largest logit: how far those of a folded network may be from the plain one's."""


def lock_model(
    model: str,
    steps: Sequence[str],
    key: str,
    out: Path,
    root: Path,
    *,
    onnx: bool = False,
    tell: Callable[[str], None] = print,
) -> None:
    """Fold a key into a plain network and write the package ``out``, whole or not at all.

    model: ``baseline``, or a safetensors file that fits params.yaml's ``model``. tell: hears how
    far the package's answers under the key are from the plain network's.

    Raises ConfigError for steps that are none, for an ``out`` that is there and for a model that is
    locked already, TransformError for a step that cannot be folded, KeyRefusedError for a key that
    is missing; ModelError for a model that is missing, another network's or of other classes, and
    for a network that cannot be folded by these blocks, or answers otherwise when it is.
    """
    params = load_params(root / "params.yaml")
    if out.exists():
        raise ConfigError("the package must be new", got=f"{out}", fix="name another, or remove it")
    lock = _opened(params, list(steps), key, out.name, root)
    transform = lock.transform()
    transform.signed_permutation()  # refuses what cannot be folded
    path = _weights(model, params, root)

    from seglock.data import PreparedData
    from seglock.models import load_model, save_weights
    from seglock.serving.card import model_card
    from seglock.serving.package import write_package
    from seglock.training import fold
    from seglock.transforms import identity

    data = PreparedData.open(root / "data" / "prepared")
    _require_plain(path, data)
    network = load_model(path, params.model, data.num_classes)
    plain = _logits(network, identity(transform.normalisation), data)
    fold(network, transform)
    top, apart = (
        float(logits.abs().max()) for logits in (plain, _logits(network, transform, data) - plain)
    )
    if not apart <= _ROUNDING * top:
        raise ModelError(
            "a folded network must answer as the plain one, to rounding",
            got=f"logits up to {apart:.1e} from the plain network's, of at most {top:.1e}",
            fix="more in it than its first convolution reads the image: train a lock from these "
            "weights instead",
        )
    assert lock.key is not None
    with tempfile.TemporaryDirectory(prefix="seglock-lock-") as scratch:
        file = Path(scratch, WEIGHTS)
        save_weights(file, network, {"nonce": lock.key.nonce(f"folded/{out.name}").hex()})
        about = describe(lock, params, files.sha256_file(file), data)
    card = model_card(about, None, [], None, remark=WEAKNESS)
    write_package(out, network, about, card, onnx=onnx)
    tell(f"{out}: folded under key {key}; its logits are within {apart:.1e} of the plain network's")


def _opened(params: Params, steps: list[str], key: str, name: str, root: Path) -> OpenLock:
    if not steps:
        raise ConfigError("a lock must have steps", got="none", fix="write --steps np-2,shf-2")
    split_steps(steps)  # refuses names that cannot be read
    if faults := step_faults({"steps": steps, "ffx_password": FROM_KEY}, params.data.image_side):
        raise ConfigError("\n".join(f"--steps {','.join(steps)}: {fault}" for fault in faults))
    file = root / "data" / "keys" / f"{key}.json"
    record = PublicRecord.from_file(file) if file.exists() else None
    secret, store = load_key(key, record=record), KeyStore()
    record = record or (store.record(key) if key in store else PublicRecord.of(secret))
    return OpenLock(name, LockParams(steps=steps, key=key), params.model, secret, record)


def _weights(model: str, params: Params, root: Path) -> Path:
    if model in params.locks:
        if model != BASELINE:
            raise ConfigError(
                "a model to fold a key into must be plain",
                got=f"{model}, which is locked already",
                fix=f"name {BASELINE}, or a weights file",
            )
        read_training(open_lock(model, params, root), root)
        return root / MODELS / model / WEIGHTS
    path = Path(model)
    if path.suffix != ".safetensors" or not path.is_file():
        raise ModelError(
            f"a model to fold a key into must be {BASELINE} or a safetensors file",
            got=repr(model) if path.is_file() else f"{model!r}, where no file is",
            fix=f"train the plain network with `dvc repro train@{BASELINE}`, or check the name",
        )
    return path


def _require_plain(path: Path, data: PreparedData) -> None:
    """Refuse weights that say they are locked, or of other classes; foreign ones say neither."""
    from seglock.models import read_metadata
    from seglock.serving.description import Description
    from seglock.serving.files import ABOUT

    about, own = read_metadata(path), json.dumps(data.classes)
    key, classes = about.get("key_id"), about.get("classes", own)
    if ABOUT in about:
        package = Description.from_json(about[ABOUT], where=str(path))
        key, classes = package.key_id, json.dumps(package.classes)
    if key is not None:
        raise ConfigError(
            "a model to fold a key into must be plain",
            got=f"{path}, which is locked already, under key {key}",
            fix=f"name {BASELINE}, or a plain network's weights",
        )
    if classes != own:
        raise ModelError(
            f"{path} must be of this project's classes, {own}",
            got=classes,
            fix="fold it in the project that it was trained in",
        )


def _logits(network: nn.Module, transform: Transform, data: PreparedData) -> torch.Tensor:
    import torch

    images = torch.from_numpy(data.val.images[:_IMAGES].copy())
    with torch.inference_mode():
        logits: torch.Tensor = network(transform.to_input(images))["out"]
    return logits
