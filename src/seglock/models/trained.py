"""A trained network from its file, ready to predict."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from seglock.models.networks import build_model
from seglock.models.weights import load_weights, read_names

if TYPE_CHECKING:
    from torch import nn

    from seglock.config import ModelParams

_AUX = "aux_classifier"


def load_model(path: Path, params: ModelParams, num_classes: int) -> nn.Module:
    """Build the network of ``params`` and load the weights of ``path``; it is in eval mode.

    An auxiliary classifier, which helps training only, is loaded and then dropped, so the
    network answers "out" alone.

    Raises ModelError when the file is missing, damaged, or of another network.
    """
    aux = any(name.startswith(f"{_AUX}.") for name in read_names(path))
    model = build_model(params, num_classes, aux=aux)
    load_weights(path, model)
    if getattr(model, _AUX, None) is not None:
        setattr(model, _AUX, None)
    return model.eval()
