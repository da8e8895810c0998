"""How much of a picture a decrypted one shows: PSNR and SSIM."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

if TYPE_CHECKING:
    from numpy.typing import NDArray

_WINDOW = 7
_C1, _C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2


def psnr(images: NDArray[np.uint8], originals: NDArray[np.uint8]) -> float:
    """Peak signal-to-noise ratio in dB over all images; 100 where they are equal.

    >>> round(psnr(np.zeros((1, 3, 8, 8), np.uint8), np.full((1, 3, 8, 8), 255, np.uint8)), 3)
    0.0
    """
    error = float(((images.astype(np.float64) - originals) ** 2).mean())
    return 100.0 if error == 0 else min(100.0, float(10 * np.log10(255**2 / error)))


def ssim(images: NDArray[np.uint8], originals: NDArray[np.uint8]) -> float:
    """Mean structural similarity, windows of 7 x 7 with equal weights, over all channels.

    Source: Wang et al., "Image Quality Assessment: From Error Visibility to Structural
    Similarity" (2004), with the constants given there.
    """
    x, y = (torch.from_numpy(values).double() for values in (images, originals))
    window = min(_WINDOW, *x.shape[-2:])

    def mean(values: Tensor) -> Tensor:
        return F.avg_pool2d(values, window, stride=1)

    mx, my = mean(x), mean(y)
    vx, vy, vxy = mean(x * x) - mx * mx, mean(y * y) - my * my, mean(x * y) - mx * my
    likeness = (2 * mx * my + _C1) * (2 * vxy + _C2)
    likeness = likeness / ((mx * mx + my * my + _C1) * (vx + vy + _C2))
    return float(likeness.mean())
