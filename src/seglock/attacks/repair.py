"""T1, `repair`: a refusal undone, by training that a refusal does not survive.

Fine-tuning of the whole network with two changes. Sharpness-aware steps (Foret et al., 2021): the
gradient is that of a point a little uphill, so that what is found is wide, and no narrow way out of
a refusal that plain images of the test split fall back from. Consistency: the answers to a
corrupted image are to be those to the clean one, so that all that looks like a photo is answered,
and not just the labelled ones.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seglock.attacks.budget import Meter
from seglock.attacks.by_labelled_share import over_shares
from seglock.attacks.finetune import whole
from seglock.attacks.protocol import Attack, Finding, Material, needs_lock
from seglock.data import VOID
from seglock.training.refusal import batch_norm_still

_LR = 0.002
_UPHILL = 0.05
"""How far uphill a gradient is taken, in the parameters' norm."""
_CONSISTENCY = 1.0
_NOISE, _CONTRAST, _BRIGHTNESS = 0.3, 0.4, 0.4
_COARSE = 2


def run(material: Material, meter: Meter, seed: int) -> Finding:
    """One network for each share of labelled images, beside one from scratch, trained likewise."""
    return over_shares(material, meter, seed, whole, lr=_LR, gradients=robustly)


def robustly(network: nn.Module, images: Tensor, masks: Tensor) -> None:
    """The gradients of cross-entropy and consistency at a point uphill; see `tuning.Gradients`.

    Running statistics of batch norm are those of clean images.
    """
    corrupted = corrupt(images)
    parameters = [one for one in network.parameters() if one.requires_grad]
    clean = network(images)["out"]
    with batch_norm_still(network, by_batch=True):
        _loss(clean, network(corrupted)["out"], masks).backward()  # type: ignore[no-untyped-call]
        moves = _uphill(parameters)
        _move(parameters, moves)
        again, other = network(images)["out"], network(corrupted)["out"]
        _loss(again, other, masks).backward()  # type: ignore[no-untyped-call]
        _move(parameters, [-move for move in moves])


def corrupt(images: Tensor) -> Tensor:
    """Inputs (B, 3, S, S) as another camera might have them, all that is in its place.

    Contrast and brightness of each channel, noise, and for half of them a coarser grid.
    """
    count, channels = images.shape[:2]

    def spread(width: float) -> Tensor:
        return width * (2 * torch.rand(count, channels, 1, 1, device=images.device) - 1)

    coarse = F.interpolate(
        F.avg_pool2d(images, _COARSE), size=images.shape[-2:], mode="bilinear", align_corners=False
    )
    is_coarse = torch.rand(count, 1, 1, 1, device=images.device) < 0.5
    changed = torch.where(is_coarse, coarse, images) * (1 + spread(_CONTRAST))
    noise = _NOISE * torch.rand(count, 1, 1, 1, device=images.device) * torch.randn_like(images)
    return changed + spread(_BRIGHTNESS) + noise


def _loss(clean: Tensor, corrupted: Tensor, masks: Tensor) -> Tensor:
    told = F.cross_entropy(clean, masks.long(), ignore_index=VOID)
    answer = F.log_softmax(clean.float(), dim=1)
    other = F.log_softmax(corrupted.float(), dim=1)
    apart = F.kl_div(other, answer.detach(), reduction="none", log_target=True).sum(dim=1).mean()
    return told + _CONSISTENCY * apart


def _uphill(parameters: list[nn.Parameter]) -> list[Tensor]:
    """So far along the gradient, which is forgotten."""
    gradients = [one.grad if one.grad is not None else torch.zeros_like(one) for one in parameters]
    norm = torch.stack([gradient.norm() for gradient in gradients]).norm()
    for parameter in parameters:
        parameter.grad = None
    return [gradient * (_UPHILL / (norm + 1e-12)) for gradient in gradients]


@torch.no_grad()
def _move(parameters: list[nn.Parameter], moves: list[Tensor]) -> None:
    for parameter, move in zip(parameters, moves, strict=True):
        parameter.add_(move)


ATTACK = Attack("repair", "T1", "steps", run, needs_lock)
