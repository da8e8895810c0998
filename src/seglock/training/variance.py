"""Whether a network can be trained on the smallest batch that a recipe makes."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from seglock.config.rules import singles
from seglock.errors import TrainingError

if TYPE_CHECKING:
    from seglock.config import Params


def require_variance(params: Params, images: int) -> None:
    """Raise TrainingError where batch normalisation would see one value of a channel alone.

    That is a batch, or a part of one, of a single image that the network shrinks to a single pixel.
    Each process of several is spared: they normalise by what all of them have.
    """
    recipe = params.train
    fix = singles(dict(recipe), images)
    if fix is None or params.model.norm != "batch" or int(os.environ.get("WORLD_SIZE", "1")) > 1:
        return
    import torch

    from seglock.models import build_model

    side = params.data.image_side
    with torch.random.fork_rng(devices=[]), torch.device("meta"):  # shapes alone
        network = build_model(params.model, 2, aux=recipe.aux_loss_weight > 0).train()
        try:
            network(torch.empty(1, 3, side, side))
        except ValueError as error:
            if "more than 1 value per channel" not in str(error):
                raise
            raise TrainingError(
                "batch normalisation must have more than one value of a channel to train on",
                got=f"batches of one image, which {params.model.name} makes one pixel "
                f"at {side}x{side}",
                fix=f"{fix}; or set model.norm to group or frozen",
            ) from error
