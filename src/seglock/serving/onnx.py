"""A network as ONNX, so that a client or a server needs no torch; checked against torch."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from seglock.errors import ModelError
from seglock.files import replacing
from seglock.serving.files import ABOUT

if TYPE_CHECKING:
    from torch import Tensor, nn

    from seglock.serving.description import Description

TOLERANCE = 1e-3
"""How far a logit may be from torch's."""
_BATCH = 3
_SEED = 0


def export_onnx(path: Path, network: nn.Module, about: Description) -> None:
    """Write a network in eval mode on the CPU as ONNX with any number of images.

    In: ``inputs`` float32 (B, 3, S, S), normalised. Out: ``classes`` uint8 (B, S, S), ``logits``.
    The file appears once onnxruntime gives torch's logits on random inputs.

    Raises ModelError where packages are missing, or the two differ.
    """
    import torch

    try:
        import onnx
        import onnxruntime
        import onnxscript  # noqa: F401 - torch exports with it
    except ImportError as error:
        raise ModelError(
            "an ONNX file needs onnx, onnxruntime and onnxscript",
            got=str(error),
            fix="pip install 'seglock[onnx]'",
        ) from None
    generator = torch.Generator().manual_seed(_SEED)
    inputs = torch.randn(_BATCH, 3, about.image_side, about.image_side, generator=generator)
    with _quiet():
        program = torch.onnx.export(
            _answers(network),
            (inputs[:2],),
            dynamo=True,
            input_names=["inputs"],
            output_names=["classes", "logits"],
            dynamic_shapes=({0: torch.export.Dim.DYNAMIC},),
            verbose=False,
        )
    assert program is not None
    model = program.model_proto
    onnx.helper.set_model_props(model, {ABOUT: about.to_json()})
    content = model.SerializeToString()
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    (logits,) = session.run(["logits"], {"inputs": inputs.numpy()})
    with torch.inference_mode():
        furthest = float(np.abs(logits - network(inputs)["out"].numpy()).max())
    if not furthest <= TOLERANCE:
        raise ModelError(
            f"the ONNX file's logits must be within {TOLERANCE:g} of torch's",
            got=f"{furthest:.3g} apart",
            fix="package it without --onnx, and tell us of the network",
        )
    with replacing(path) as file:
        file.write(content)


def _answers(network: nn.Module) -> nn.Module:
    import torch

    from seglock.evaluation.predict import classes_of

    class Answers(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
            logits = self.network(inputs)["out"]
            return classes_of(logits), logits

    return Answers().eval()


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without what torch's exporter says of itself."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)
