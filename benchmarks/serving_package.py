"""A package with random weights, and the bodies that clients send to its servers."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import torch

from seglock import __version__
from seglock.config import ModelParams
from seglock.keys import PublicRecord, SecretKey, demonstration_key
from seglock.models import build_model
from seglock.normalisation import IMAGENET
from seglock.serving.description import Description
from seglock.serving.envelope import Envelope, encode
from seglock.serving.package import write_package
from seglock.transforms import compose

STEPS = ("np-4", "shf-4")
ENVELOPES, NUMBERS = "envelopes", "numbers"
_CLASSES = ("background", "square", "disc", "triangle", "ring", "cross", "star")
_BODIES = 8


def write_case(
    folder: Path, side: int, name: str, width: int, *, onnx: bool, key: SecretKey | None = None
) -> Path:
    """A package of a network in ``folder``, and beside it bodies of random images: as envelopes,
    and as the nested numbers that `mlflow models serve` takes. Written once.

    key: default: the demonstration key.
    """
    if folder.is_dir():
        return folder
    key = key or demonstration_key()
    lock = compose(STEPS, key=key)
    about = Description(
        seglock=__version__, lock="benchmark", steps=STEPS,
        key=dataclasses.asdict(PublicRecord.of(key)),
        network={"name": name, "width": width, "norm": "batch"}, classes=_CLASSES,
        image_side=side, dtype="uint8", divisor=lock.max_value,
        mean=IMAGENET.mean, std=IMAGENET.std, data_digest="none", weights_sha256="none",
    )  # fmt: skip
    torch.manual_seed(0)
    network = build_model(ModelParams(name=name, width=width), len(_CLASSES)).eval()
    for kind in (ENVELOPES, NUMBERS):
        (folder.parent / kind).mkdir(parents=True, exist_ok=True)
    images = np.random.default_rng(0).integers(0, 256, (_BODIES, 3, side, side), dtype=np.uint8)
    for number, values in enumerate(images):
        sealed = encode(Envelope(values, about.key_id or "", about.lock, STEPS))
        (folder.parent / ENVELOPES / f"{number}.png").write_bytes(sealed)
        numbers = json.dumps({"inputs": values[None].tolist()}, separators=(",", ":"))
        (folder.parent / NUMBERS / f"{number}.json").write_text(numbers)
    write_package(folder, network, about, "# benchmark\n", onnx=onnx)
    return folder
