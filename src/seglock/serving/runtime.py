"""A packaged network at work: encrypted integers in, class indices out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seglock.errors import ModelError
from seglock.serving.description import Description
from seglock.serving.files import ONNX, WEIGHTS, artifact, from_onnx, read_description

FFX_VALUES = 1000
"""FFX gives numbers of three digits."""
Forward = Callable[[NDArray[np.float32]], NDArray[np.uint8]]
"""From inputs (B, 3, S, S) to the class with the largest logit, (B, S, S)."""


class LockedModel:
    """One locked model, ready for whatever is sent encrypted under its key."""

    def __init__(self, description: Description, network: Forward) -> None:
        self.description = description
        self._network = network
        self._inputs = input_table(description)

    def predict(self, values: NDArray[Any]) -> NDArray[np.uint8]:
        """Class indices (B, S, S) of encrypted images (B, 3, S, S), both in order.

        values: of the description's ``dtype``, S its ``image_side``; B from 1.

        Raises ModelError for another type or shape, or a value that no such lock gives.
        """
        about = self.description
        side, most = about.image_side, self._inputs.shape[1]
        if values.dtype != about.dtype or values.shape[1:] != (3, side, side) or not len(values):
            raise ModelError(
                f"images must be {about.dtype} of shape (B, 3, {side}, {side}), B from 1",
                got=f"{values.dtype} of shape {values.shape}",
                fix="encrypt them with `seglock encrypt` for this model",
            )
        if about.dtype == "int16" and not 0 <= int(values.min()) <= int(values.max()) < most:
            raise ModelError(
                f"encrypted values must be 0 to {most - 1}",
                got=f"{values.min()} to {values.max()}",
                fix="encrypt them with `seglock encrypt` for this model",
            )
        inputs = np.empty(values.shape, np.float32)
        for channel, table in enumerate(self._inputs):
            np.take(table, values[:, channel], out=inputs[:, channel], mode="clip")
        return self._network(inputs)


def input_table(about: Description) -> NDArray[np.float32]:
    """What each value becomes by channel, (3, 256) or (3, 1000): computed in float64, rounded once,
    as the network was trained."""
    count = FFX_VALUES if about.dtype == "int16" else 256
    scaled = np.arange(count, dtype=np.float64) / about.divisor
    mean, std = (np.array(part, dtype=np.float64)[:, None] for part in (about.mean, about.std))
    return ((scaled - mean) / std).astype(np.float32)


def open_runtime(path: Path, device: str = "auto") -> LockedModel:
    """The model of a package's folder, of its weights.safetensors, or of its model.onnx.

    A folder without weights is opened by its model.onnx; that takes no torch, and the CPU.

    Raises ModelError for what is no package, or damaged, and for a device that is not there.
    """
    path = artifact(path, WEIGHTS, ONNX)
    if path.suffix == ".onnx":
        return LockedModel(*from_onnx(path))
    about = read_description(path)
    return LockedModel(about, _torch_network(path, about, device))


def _torch_network(path: Path, about: Description, device: str) -> Forward:
    import torch
    from pydantic import ValidationError

    from seglock.config import ModelParams
    from seglock.evaluation.predict import Predictor
    from seglock.models import load_model, pick_device

    try:
        params = ModelParams(**about.network)  # type: ignore[arg-type]
    except (ValidationError, TypeError):
        raise ModelError(
            f"{path} must be of a network that this seglock knows",
            got=str(about.network.get("name")),
            fix=f"open it with seglock {about.seglock}, which packaged it",
        ) from None
    predictor = Predictor(load_model(path, params, len(about.classes)), pick_device(device))

    def network(inputs: NDArray[np.float32]) -> NDArray[np.uint8]:
        dtype = torch.bfloat16 if predictor.bf16 else torch.float32
        upload = torch.from_numpy(inputs).to(
            predictor.device, dtype, memory_format=predictor.memory_format
        )
        found: NDArray[np.uint8] = predictor(upload).cpu().numpy()
        return found

    return network
