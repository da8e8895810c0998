"""What stands where a network has batch normalisation: itself, a frozen copy, or group norm."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Norm = Literal["batch", "frozen", "group"]
MAX_GROUPS = 32
MIN_CHANNELS = 4


class FrozenBatchNorm2d(nn.Module):
    """Batch normalisation whose statistics, scale and shift are constants, also in ``train()``.

    Shape: (B, C, H, W) -> (B, C, H, W). The four tensors have the names they have in
    ``nn.BatchNorm2d``, so weights of either load into the other. ``then`` is done to the result.

    >>> layer = FrozenBatchNorm2d(2).train()
    >>> list(layer.parameters()), sorted(layer.state_dict())
    ([], ['bias', 'running_mean', 'running_var', 'weight'])
    """

    weight: Tensor
    bias: Tensor
    running_mean: Tensor
    running_var: Tensor

    def __init__(self, num_features: int, eps: float = 1e-5, then: nn.Module | None = None) -> None:
        super().__init__()
        self.then = then
        self.num_features = num_features
        self.eps = eps
        self.register_buffer("weight", torch.ones(num_features))
        self.register_buffer("bias", torch.zeros(num_features))
        self.register_buffer("running_mean", torch.zeros(num_features))
        self.register_buffer("running_var", torch.ones(num_features))

    def forward(self, x: Tensor) -> Tensor:
        seen = F.batch_norm(
            x, self.running_mean, self.running_var, self.weight, self.bias, False, 0.0, self.eps
        )
        if self.then is not None:
            seen = self.then(seen)
        return seen

    def thawed(self) -> nn.Module:
        """Batch norm with the same values, whose statistics can move, and what follows it."""
        layer = nn.BatchNorm2d(self.num_features, eps=self.eps)
        layer.load_state_dict(self.state_dict(), strict=False)
        layer.to(self.weight.device)
        return layer if self.then is None else nn.Sequential(layer, self.then)

    def extra_repr(self) -> str:
        return f"{self.num_features}, eps={self.eps}"


class GroupNormThen(nn.GroupNorm):
    """Group normalisation, and ``then`` something to the result."""

    def __init__(self, groups: int, channels: int, eps: float, then: nn.Module) -> None:
        super().__init__(groups, channels, eps)
        self.then = then

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.then(super().forward(x))
        return result


def norm_layers(network: nn.Module) -> Iterator[nn.Module]:
    """The layers of a network with a scale and a shift for each channel, trained or constant."""
    for module in network.modules():
        weight, bias = getattr(module, "weight", None), getattr(module, "bias", None)
        if isinstance(weight, Tensor) and weight.dim() == 1 and bias is not None:
            yield module


def group_count(channels: int) -> int:
    """How many groups: the most, up to 32, that divide the channels and hold at least 4 of them.

    Fewer channels to a group come near instance normalisation, which erases what distinguishes
    one image's colours from another's.

    >>> [group_count(c) for c in (3, 16, 32, 40, 256, 960)]
    [1, 4, 8, 10, 32, 32]
    """
    fitting = (g for g in range(MAX_GROUPS, 1, -1) if channels % g == 0)
    return next((g for g in fitting if channels // g >= MIN_CHANNELS), 1)


def replace_norm(model: nn.Module, norm: Norm) -> nn.Module:
    """Put ``norm`` in place of every ``nn.BatchNorm2d`` of ``model``; changes and returns it.

    The new layers start as identity (scale 1, shift 0, and for ``frozen`` mean 0, variance 1);
    load weights afterwards. ``batch`` changes nothing.

    >>> layer = replace_norm(nn.Sequential(nn.BatchNorm2d(8)), "group")[0]
    >>> type(layer).__name__, layer.num_groups
    ('GroupNorm', 2)
    """
    if norm == "batch":
        return model
    for name, child in model.named_children():
        if isinstance(child, nn.BatchNorm2d):
            setattr(model, name, _other_norm(child, norm))
        else:
            replace_norm(child, norm)
    return model


def _other_norm(layer: nn.BatchNorm2d, norm: Norm) -> nn.Module:
    """What stands in a layer's place. Those of timm hold their activation, which stays."""
    after, channels = list(layer.children()), layer.num_features
    then = nn.Sequential(*after) if after else None
    if norm == "frozen":
        return FrozenBatchNorm2d(channels, layer.eps, then)
    if then is None:
        return nn.GroupNorm(group_count(channels), channels, layer.eps)
    return GroupNormThen(group_count(channels), channels, layer.eps, then)


def synchronised(network: nn.Module) -> nn.Module:
    """The network with batch norm over all processes; changes it where it can."""
    if any(isinstance(m, nn.BatchNorm2d) and list(m.children()) for m in network.modules()):
        from timm.layers import convert_sync_batchnorm

        found: nn.Module = convert_sync_batchnorm(network)  # keeps their activations
    else:
        found = nn.SyncBatchNorm.convert_sync_batchnorm(network)  # type: ignore[no-untyped-call]
    return found
