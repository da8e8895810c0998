"""Stage ``weights``: what the networks start from, in data/weights."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from seglock.config import BASELINE, Params
from seglock.files import replacing_folder, write_json
from seglock.stages.outputs import sole_writer

if TYPE_CHECKING:
    from seglock.config import ModelParams

WEIGHTS_FOLDER = Path("data/weights")
Tell = Callable[[str], None] | None


def get_weights(params: Params, root: Path, *, tell: Tell = None) -> None:
    """Write data/weights: ``weights.json`` and, unless there are none, ``weights.safetensors``.

    ``model.initial_weights`` is none, imagenet, coco (downloaded), a safetensors file, or
    baseline: then the plain network is trained here, from ``model.baseline_weights``, by the
    recipe of ``train``; one that was stopped goes on.

    tell: hears what is done.

    Raises ModelError when weights cannot be had, and what training raises.
    """
    target = root / WEIGHTS_FOLDER
    start = params.model.initial_weights
    if tell:
        tell(f"initial weights of {params.model.name}: {start}{_WHAT.get(start, '')}")
    _ = params.model.normalisation  # a network of timm's must be there, whatever it starts from
    if start == "none":  # without importing torch
        with sole_writer(root, "weights"), replacing_folder(target) as out:
            about = {"source": start, "network": params.model.name, "file": None, "sha256": None}
            write_json(out / "weights.json", about)
    elif start == BASELINE:
        _train_baseline(params, root, target, tell)
    else:
        from seglock.models import weights_file

        with sole_writer(root, "weights"):
            _fetch(params.model, target, weights_file(start, root), tell)


_WHAT = {
    "none": ", so every network starts fresh",
    BASELINE: ", a plain network, which is trained now; locks are trained on from it",
}


def _train_baseline(params: Params, root: Path, target: Path, tell: Tell) -> None:
    from seglock.stages.train import train_plain
    from seglock.training import rank_of

    with tempfile.TemporaryDirectory(prefix="seglock-weights-") as scratch:
        trained = train_plain(params, root, Path(scratch) / "baseline.safetensors")
        if rank_of() == 0:  # under torchrun, the first process writes
            _fetch(params.model, target, trained, tell)


def _fetch(model: ModelParams, target: Path, file: Path | None, tell: Tell) -> None:
    from seglock.models import fetch_weights

    with replacing_folder(target) as out:
        fetch_weights(model, out, file=file, tell=tell)
