"""The files of a package: which there are, how they are found, and what each says of its model."""

from __future__ import annotations

import json
import os
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seglock.errors import ModelError
from seglock.serving.description import Description
from seglock.threads import chosen_threads

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

ARTIFACTS = "artifacts"
WEIGHTS, ONNX = "weights.safetensors", "model.onnx"
ABOUT = "seglock_description"
"""Under this name weights and ONNX files hold their description."""
_MOST_HEADER = 1 << 24
_FIX = "make one with `seglock package --lock LOCK`"


def artifact(path: Path, *names: str) -> Path:
    """The first of these files in a package's folder; ``path`` itself if it is such a file.

    Raises ModelError where there is none.
    """
    if path.suffix in (".safetensors", ".onnx") and path.is_file():
        return path
    found = (path / ARTIFACTS / name for name in names)
    first = next((file for file in found if file.is_file()), None)
    if first is None:
        raise ModelError(
            f"{path} must be a seglock package, or its {' or '.join(names)}",
            got="no such file or folder" if not path.exists() else "something else",
            fix=_FIX,
        )
    return first


def read_description(path: Path) -> Description:
    """What a package, its weights or its ONNX file say of the model; neither is loaded.

    Raises ModelError.
    """
    path = artifact(path, WEIGHTS, ONNX)
    if path.suffix == ".onnx":
        return from_onnx(path)[0]
    return Description.from_json(_metadata(path).get(ABOUT, ""), where=str(path))


def _metadata(path: Path) -> Mapping[str, str]:
    """The strings of a safetensors file, read without torch."""
    try:
        with path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            header = json.loads(file.read(min(length, _MOST_HEADER)))
        found = header.get("__metadata__", {})
        return found if isinstance(found, dict) else {}
    except (OSError, struct.error, ValueError, AttributeError) as error:
        raise ModelError(
            f"{path} must be a whole safetensors file", got=str(error), fix=_FIX
        ) from None


def write_weights(path: Path, state: Mapping[str, Tensor], about: Description) -> None:
    """Write a network's state with its description, whole or not at all."""
    from seglock.models import save_weights

    save_weights(path, state, {ABOUT: about.to_json()})


def from_onnx(path: Path) -> tuple[Description, Callable[[NDArray[np.float32]], NDArray[np.uint8]]]:
    """The model of an ONNX file on the CPU, without torch. Raises ModelError."""
    try:
        import onnxruntime
    except ImportError as error:
        raise ModelError(
            f"{path} needs onnxruntime", got=str(error), fix="pip install 'seglock[onnx]'"
        ) from None
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = chosen_threads(os.environ)
    try:
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its classes have no common base
        text = " ".join(str(error).split())[:200]
        raise ModelError(f"{path} must be a whole ONNX file", got=text, fix=_FIX) from None
    stated = session.get_modelmeta().custom_metadata_map
    about = Description.from_json(stated.get(ABOUT, ""), where=str(path))

    def network(inputs: NDArray[np.float32]) -> NDArray[np.uint8]:
        found: list[Any] = session.run(["classes"], {"inputs": inputs})
        classes: NDArray[np.uint8] = found[0]
        return classes

    return about, network
