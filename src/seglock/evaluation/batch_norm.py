"""A thief's first move against a locked network: new normalisation statistics, no labels needed."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

# torch has no public name for what BatchNorm1d, 2d, 3d and SyncBatchNorm share
from torch.nn.modules.batchnorm import _BatchNorm

from seglock.errors import EvaluationError
from seglock.models import ChannelOrder, FrozenBatchNorm2d, permuted


def reestimate_batch_norm(
    model: nn.Module, inputs: Iterable[Tensor], features: Sequence[ChannelOrder] = ()
) -> nn.Module:
    """A copy of ``model`` in eval mode whose batch-norm statistics are those of ``inputs``.

    Statistics are the plain average over the batches; weights, dropout and ``model`` itself stay
    as they are. Frozen batch norm is re-estimated too: whoever holds the weights can thaw it. A
    network without either (group norm) is copied and ``inputs`` is not read.

    inputs: batches (B, 3, H, W) as the network takes them, on its device. features: what a key does
    to the feature maps meanwhile.

    Raises EvaluationError when there is no batch, or one too small to have a variance.

    >>> model = nn.Sequential(nn.BatchNorm2d(1)).eval()
    >>> new = reestimate_batch_norm(model, [torch.full((2, 1, 2, 2), 3.0)])
    >>> new[0].running_mean.item(), model[0].running_mean.item()
    (3.0, 0.0)
    """
    twin = copy.deepcopy(model).eval()
    _thaw(twin)
    layers = [module for module in twin.modules() if isinstance(module, _BatchNorm)]
    if not layers:
        return twin
    momenta = [layer.momentum for layer in layers]
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None  # torch's sign for a cumulative average
        layer.train()
    batches = 0
    with torch.no_grad(), permuted(twin, features):
        for batch in inputs:
            _pass(twin, batch)
            batches += 1
    if not batches:
        raise EvaluationError(
            "re-estimating batch norm needs unlabelled images", got="none", fix="fill the val split"
        )
    for layer, momentum in zip(layers, momenta, strict=True):
        layer.momentum = momentum
    return twin.eval()


def _pass(model: nn.Module, batch: Tensor) -> None:
    try:
        model(batch)
    except ValueError as error:
        if "more than 1 value per channel" not in str(error):
            raise
        raise EvaluationError(
            "re-estimating batch norm needs at least two images a batch",
            got=len(batch),
            fix="raise evaluate.batch_size or put more images into the val split",
        ) from error


def _thaw(model: nn.Module) -> None:
    for name, child in model.named_children():
        if isinstance(child, FrozenBatchNorm2d):
            setattr(model, name, child.thawed())
        else:
            _thaw(child)
