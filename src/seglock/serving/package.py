"""A package: a folder that MLflow serves as it is, and that names all that anyone may know.

MLmodel, requirements.txt, an input example of random integers, README.md (the model card), and
under artifacts/ the weights, the description and, where asked for, the network as ONNX.
"""

from __future__ import annotations

import contextlib
import logging
import os
import tempfile
import warnings
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from seglock import files
from seglock.serving.description import NAME
from seglock.serving.files import ONNX, WEIGHTS, write_weights

if TYPE_CHECKING:
    from torch import nn

    from seglock.serving.description import Description

CARD = "README.md"
_NEEDED = (
    "mlflow", "numpy", "pydantic", "safetensors", "seglock", "torch", "torchvision",
)  # fmt: skip
_SCRIPT = Path(__file__).with_name("pyfunc_model.py")


def write_package(
    target: Path, network: nn.Module, about: Description, card: str, *, onnx: bool = False
) -> None:
    """Write the package of a network in eval mode on the CPU, whole or not at all.

    Raises ModelError where ONNX is asked for and cannot be had, StorageError on a full disk.
    """
    with (
        tempfile.TemporaryDirectory(prefix="seglock-package-") as scratch,
        files.replacing_folder(target) as out,
    ):
        parts = {"weights": Path(scratch, WEIGHTS), "description": Path(scratch, NAME)}
        write_weights(parts["weights"], network.state_dict(), about)
        parts["description"].write_text(about.to_json() + "\n", encoding="utf-8")
        if onnx:
            from seglock.serving.onnx import export_onnx

            parts["onnx"] = Path(scratch, ONNX)
            export_onnx(parts["onnx"], network, about)
        _save(out, about, parts)
        (out / CARD).write_text(card, encoding="utf-8")
        index = out / "MLmodel"  # it goes by the name alone, and a folder here is nobody's business
        told = index.read_text(encoding="utf-8").replace(str(_SCRIPT), _SCRIPT.name)
        index.write_text(told, encoding="utf-8")


def _save(out: Path, about: Description, parts: dict[str, Path]) -> None:
    with _quiet():
        import mlflow.pyfunc
        from mlflow.models import ModelSignature
        from mlflow.types import DataType, ParamSchema, ParamSpec, Schema, TensorSpec

        side, kind = about.image_side, np.dtype(about.dtype)
        signature = ModelSignature(
            Schema([TensorSpec(kind, (-1, 3, side, side))]),
            Schema([TensorSpec(np.dtype(np.uint8), (-1, side, side))]),
            ParamSchema([ParamSpec("describe", DataType.boolean, False)]),
        )
        values = np.random.default_rng(0).integers(0, 256, (1, 3, side, side)).astype(kind)
        mlflow.pyfunc.save_model(
            out,
            python_model=_SCRIPT,
            artifacts={name: str(path) for name, path in parts.items()},
            signature=signature,
            input_example=values,
            pip_requirements=[f"{name}=={version(name)}" for name in _NEEDED],
            metadata={"seglock": about.model_dump(mode="json", exclude={"key"})},
        )


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without what MLflow says of itself."""
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)
