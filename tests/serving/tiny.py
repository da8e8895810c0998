"""Packages of tiny networks with random weights, for whoever needs one."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from seglock.keys import PublicRecord, SecretKey, demonstration_key
from seglock.normalisation import IMAGENET
from seglock.serving.description import Description
from seglock.serving.files import ARTIFACTS, ONNX, WEIGHTS, write_weights
from seglock.serving.onnx import export_onnx
from seglock.transforms import compose

CLASSES = ("background", "square", "disc")
NETWORK: dict[str, str | int | bool] = {"name": "fcn_small", "width": 4, "norm": "batch"}


def describe(
    steps: tuple[str, ...] = ("np-2",), side: int = 16, key: SecretKey | None = None, **other: Any
) -> Description:
    """A tiny model under ``key``, the demonstration key unless another is given."""
    key = key or demonstration_key()
    transform = compose(steps, key if steps else None)
    record = dataclasses.asdict(PublicRecord.of(key)) if steps else None
    about = {
        "seglock": "0.1.0",
        "lock": "+".join(steps) or "baseline",
        "steps": steps,
        "key": record,
        "network": NETWORK,
        "classes": CLASSES,
        "image_side": side,
        "dtype": transform.dtype_name,
        "divisor": transform.max_value,
        "mean": IMAGENET.mean,
        "std": IMAGENET.std,
        "data_digest": "none",
        "weights_sha256": "none",
    }
    return Description(**{**about, **other})


def tiny_network(about: Description) -> Any:
    """Its network with weights that are the same each time, in eval mode."""
    import torch

    from seglock.config import ModelParams
    from seglock.models import build_model

    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = build_model(ModelParams(**about.network), len(about.classes))  # type: ignore[arg-type]
        for tensor in network.state_dict().values():
            if tensor.is_floating_point():
                tensor.add_(0.1 * torch.rand_like(tensor))
    return network.eval()


def tiny_package(folder: Path, about: Description | None = None, *, onnx: bool = False) -> Path:
    """A package's artifacts in ``folder``: weights, and ONNX where asked."""
    about = about or describe()
    network, artifacts = tiny_network(about), folder / ARTIFACTS
    artifacts.mkdir(parents=True)
    write_weights(artifacts / WEIGHTS, network.state_dict(), about)
    if onnx:
        export_onnx(artifacts / ONNX, network, about)
    return folder
