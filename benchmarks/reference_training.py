"""The loop people use: torchvision's segmentation reference recipe, in short, with nothing of ours.

Files are read and changed by a ``DataLoader``'s workers on the CPU, a step is computed as torch
does by default: float32, usual memory format, not compiled. It does not encrypt, which is in its
favour.
"""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import functional as F  # noqa: N812
from torchvision.transforms.functional import InterpolationMode

IGNORED = 255
AUX_WEIGHT = 0.5
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Files(Dataset[tuple[Tensor, Tensor]]):
    """The images of a VOC folder's train list, each time resized, flipped and cropped anew."""

    def __init__(self, root: Path, side: int) -> None:
        names = (root / "ImageSets" / "Segmentation" / "train.txt").read_text().split()
        self.images = [root / "JPEGImages" / f"{name}.jpg" for name in names]
        self.masks = [root / "SegmentationClass" / f"{name}.png" for name in names]
        self.side = side

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        image = Image.open(self.images[index]).convert("RGB")
        mask = Image.open(self.masks[index])
        size = int(self.side * random.uniform(0.5, 2.0))
        image = F.resize(image, [size, size], InterpolationMode.BILINEAR, antialias=True)
        mask = F.resize(mask, [size, size], InterpolationMode.NEAREST)
        if random.random() < 0.5:
            image, mask = F.hflip(image), F.hflip(mask)
        missing = max(0, self.side - size)
        image = F.pad(image, [0, 0, missing, missing], fill=0)
        mask = F.pad(mask, [0, 0, missing, missing], fill=IGNORED)
        top, left = (random.randint(0, max(0, size - self.side)) for _ in "yx")
        box = (top, left, self.side, self.side)
        pixels = F.convert_image_dtype(F.pil_to_tensor(F.crop(image, *box)), torch.float32)
        return F.normalize(pixels, _MEAN, _STD), F.pil_to_tensor(F.crop(mask, *box))[0].long()


def criterion(outputs: dict[str, Tensor], target: Tensor) -> Tensor:
    """Cross-entropy of the main classifier and half that of the auxiliary one."""
    losses = {
        name: nn.functional.cross_entropy(logits, target, ignore_index=IGNORED)
        for name, logits in outputs.items()
    }
    return losses["out"] + AUX_WEIGHT * losses["aux"] if "aux" in losses else losses["out"]


@dataclass
class ReferenceLoop:
    """A training that is timed a few steps at a time."""

    network: nn.Module
    files: Files
    batch: int
    workers: int
    device: torch.device

    def __post_init__(self) -> None:
        self.network.to(self.device).train()
        self._optimizer = torch.optim.SGD(
            self.network.parameters(), lr=0.01, momentum=0.9, weight_decay=1e-4
        )
        self._schedule = torch.optim.lr_scheduler.PolynomialLR(self._optimizer, 10_000, power=0.9)
        self._loader = DataLoader(
            self.files, self.batch, shuffle=True, num_workers=self.workers, drop_last=True,
            pin_memory=self.device.type == "cuda",
        )  # fmt: skip

    def seconds(self, steps: int) -> float:
        """How long ``steps`` steps take; the workers are at work, and one step ahead, before."""
        batches = iter(self._loader)
        self._step(*next(batches))
        start = time.perf_counter()
        for _ in range(steps):
            self._step(*next(batches))
        return time.perf_counter() - start

    def _step(self, images: Tensor, target: Tensor) -> None:
        outputs = self.network(images.to(self.device))
        loss = criterion(outputs, target.to(self.device))
        self._optimizer.zero_grad()
        loss.backward()
        self._optimizer.step()
        self._schedule.step()
        loss.item()  # as its metric logger does
