"""``seglock lock``: a plain network's package under a key, folded instead of trained; seconds."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from seglock import files
from seglock.config import BASELINE, Params, load_params, override
from seglock.errors import ConfigError, ModelError
from seglock.keys import KeyStore, PublicRecord, load_key
from seglock.results.training import MODELS
from seglock.stages.locks import WEIGHTS, OpenLock, open_lock, read_training
from seglock.stages.package import WEAKNESS, describe

if TYPE_CHECKING:
    import torch
    from torch import nn

    from seglock.data import PreparedData
    from seglock.transforms import Transform

_IMAGES = 4


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

    Raises ConfigError for steps that are none and for an ``out`` that is there, TransformError for
    a step that cannot be folded, KeyRefusedError for a key that is missing, all before torch is
    imported; ModelError for a model that is missing or another network's, and for a stem that
    cannot be folded by these blocks.
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
    network = load_model(path, params.model, data.num_classes)
    plain = _logits(network, identity(transform.normalisation), data)
    fold(network, transform)
    apart = _logits(network, transform, data) - plain
    assert lock.key is not None
    with tempfile.TemporaryDirectory(prefix="seglock-lock-") as scratch:
        file = Path(scratch, WEIGHTS)
        save_weights(file, network, {"nonce": lock.key.nonce(f"folded/{out.name}").hex()})
        about = describe(lock, params, files.sha256_file(file), data)
    card = model_card(about, None, [], None, remark=WEAKNESS)
    write_package(out, network, about, card, onnx=onnx)
    tell(
        f"{out}: folded under key {key}; its logits are within {float(apart.abs().max()):.1e} of "
        "the plain network's"
    )


def _opened(params: Params, steps: list[str], key: str, name: str, root: Path) -> OpenLock:
    if not steps:
        raise ConfigError("a lock must have steps", got="none", fix="write --steps np-2,shf-2")
    changed = override(params, "locks", {"folded": {"steps": steps, "key": key}})
    file = root / "data" / "keys" / f"{key}.json"
    record = PublicRecord.from_file(file) if file.exists() else None
    secret, store = load_key(key, record=record), KeyStore()
    record = record or (store.record(key) if key in store else PublicRecord.of(secret))
    return OpenLock(name, changed.locks["folded"], params.model, secret, record)


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


def _logits(network: nn.Module, transform: Transform, data: PreparedData) -> torch.Tensor:
    import torch

    images = torch.from_numpy(data.val.images[:_IMAGES].copy())
    with torch.inference_mode():
        logits: torch.Tensor = network(transform.to_input(images))["out"]
    return logits
