"""A network with its losses: one module, so that they are compiled and distributed together."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from seglock.data import VOID


def pixel_loss(logits: Tensor, masks: Tensor) -> Tensor:
    """Cross-entropy summed over labelled pixels, in float32.

    Shape: logits (B, C, H, W) float, masks (B, H, W) uint8 class index or 255 -> scalar.
    """
    return F.cross_entropy(logits.float(), masks.long(), ignore_index=VOID, reduction="sum")


class Losses(nn.Module):
    """From inputs and masks to the loss sums of "out" and, where the network has it, "aux".

    Compiled, the logits at full size are never written in float32: upsampling, log-softmax and
    the sum over pixels become one pass.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, inputs: Tensor, masks: Tensor) -> dict[str, Tensor]:
        return {name: pixel_loss(logits, masks) for name, logits in self.network(inputs).items()}
