"""The small fully convolutional network for CPUs; plain torch, no torchvision."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

# (stride, dilation) of the six 3x3 convolutions: stride 8 in all, two of them dilated. The third
# stays at stride 4, where a 4x4 block is one position: locked images gain most from it.
LAYERS = ((2, 1), (2, 1), (1, 1), (2, 1), (1, 2), (1, 2))


class SmallFCN(nn.Module):
    """Six 3x3 convolutions with norm and ReLU, a 1x1 classifier, bilinear upsampling.

    After "Fully Convolutional Networks for Semantic Segmentation" (Long et al., 2015), as small
    as the synthetic set allows.

    Shape: (B, 3, H, W) float -> {"out": (B, num_classes, H, W)} logits; H, W at least 2.

    >>> import torch
    >>> SmallFCN(num_classes=5, width=8).eval()(torch.zeros(1, 3, 20, 16))["out"].shape
    torch.Size([1, 5, 20, 16])
    """

    def __init__(self, num_classes: int, width: int) -> None:
        super().__init__()
        blocks = []
        channels = 3
        for stride, dilation in LAYERS:
            blocks.append(_block(channels, width, stride, dilation))
            channels = width
        self.backbone = nn.Sequential(*blocks)
        self.classifier = nn.Conv2d(width, num_classes, kernel_size=1)
        _initialise(self)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        logits = self.classifier(self.backbone(x))
        size = (x.shape[-2], x.shape[-1])
        return {"out": F.interpolate(logits, size=size, mode="bilinear", align_corners=False)}


def _block(channels: int, width: int, stride: int, dilation: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(
            channels, width, 3, stride=stride, padding=dilation, dilation=dilation, bias=False
        ),
        nn.BatchNorm2d(width),
        nn.ReLU(inplace=True),
    )


def _initialise(model: nn.Module) -> None:
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_in", nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
