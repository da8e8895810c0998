"""The straightforward way to judge a lock by wrong keys, as it would be written for one paper.

Nothing of seglock but the key's own permutation: files through a DataLoader, SHF in float by
reshaping to blocks and back, float32, argmax, a confusion matrix a batch.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from benchmarks.textbook import from_blocks, to_blocks
from seglock.keys import SecretKey, derive_permutation

MEAN = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)
STD = torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)


def write_images(folder: Path, images: np.ndarray, masks: np.ndarray) -> None:
    """The split as PNG files, which lose nothing: (N, 3, S, S) and (N, S, S) uint8."""
    for index, (image, mask) in enumerate(zip(images, masks, strict=True)):
        Image.fromarray(image.transpose(1, 2, 0).copy()).save(folder / f"{index:05}.image.png")
        Image.fromarray(mask).save(folder / f"{index:05}.mask.png")


class Files(Dataset[tuple[Tensor, Tensor]]):
    """Image and mask by index: (3, S, S) uint8 and (S, S) int64."""

    def __init__(self, folder: Path) -> None:
        self.images = sorted(folder.glob("*.image.png"))
        self.masks = sorted(folder.glob("*.mask.png"))

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        with Image.open(self.images[index]) as file:
            image = torch.from_numpy(np.array(file.convert("RGB"))).permute(2, 0, 1)
        with Image.open(self.masks[index]) as file:
            mask = torch.from_numpy(np.array(file)).long()
        return image, mask


def open_loader(folder: Path, batch: int, workers: int) -> DataLoader[tuple[Tensor, Tensor]]:
    """Batches in order, read by ``workers`` processes that stay for all keys."""
    return DataLoader(
        Files(folder),
        batch_size=batch,
        num_workers=workers,
        pin_memory=torch.cuda.is_available(),
        persistent_workers=workers > 0,
    )


def encrypt(images: Tensor, permutation: Tensor, m: int) -> Tensor:
    """SHF in blocks of side m: (B, 3, H, W) uint8 -> float of the same shape, 0 to 255."""
    return from_blocks(to_blocks(images, m)[..., permutation], images.shape, m)


def judge_key(
    model: nn.Module,
    loader: DataLoader[tuple[Tensor, Tensor]],
    key: SecretKey,
    block: int,
    classes: int,
    device: torch.device,
) -> float:
    """Mean IoU under one key, over the classes that occur."""
    size = 3 * block * block
    permutation = torch.from_numpy(
        derive_permutation(key, f"plan/order/0/shf-{block}-{size}", size)
    )
    matrix = torch.zeros(classes, classes, dtype=torch.int64, device=device)
    model.to(device).eval()
    with torch.inference_mode():
        for images, masks in loader:
            inputs = (encrypt(images, permutation, block) / 255 - MEAN) / STD
            prediction = model(inputs.to(device))["out"].argmax(1).flatten()
            target = masks.to(device).flatten()
            known = (target >= 0) & (target < classes)
            index = classes * target[known] + prediction[known]
            matrix += torch.bincount(index, minlength=classes**2).reshape(classes, classes)
    counts = matrix.double()
    hit = counts.diag()
    iou = hit / (counts.sum(0) + counts.sum(1) - hit)
    return iou[counts.sum(1) > 0].mean().item()
