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


def unlearning_loss(logits: Tensor, masks: Tensor, most: float) -> Tensor:
    """The same with the sign turned, where a pixel counts up to ``most`` nats: what has been
    unlearnt so far gives no gradient any more."""
    each = F.cross_entropy(logits.float(), masks.long(), ignore_index=VOID, reduction="none")
    return -each.clamp(max=most).sum()


class Losses(nn.Module):
    """From inputs and masks to the loss sums of "out" and, where the network has it, "aux".

    Compiled, the logits at full size are never written in float32: upsampling, log-softmax and
    the sum over pixels become one pass.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(
        self, inputs: Tensor, masks: Tensor, unlearn: float | None = None
    ) -> dict[str, Tensor]:
        """The sums of `pixel_loss`, or with ``unlearn`` nats at most those of `unlearning_loss`."""
        answers = self.network(inputs).items()
        if unlearn is not None:
            return {name: unlearning_loss(logits, masks, unlearn) for name, logits in answers}
        return {name: pixel_loss(logits, masks) for name, logits in answers}
