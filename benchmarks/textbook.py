"""The transforms as a paper's code writes them: to float, to NHWC, to blocks, index, and back.

What people would otherwise use, in plain torch on any device, and what ours is checked against.
"""

from __future__ import annotations

import torch
from torch import Tensor

from seglock import Transform


class Textbook:
    """One method's transform from the same plan; gives float32 for everything."""

    def __init__(self, transform: Transform, device: torch.device) -> None:
        plan = transform._plan
        self.side, self.max_value = plan.block_size, transform.max_value
        self.permutation = torch.tensor(plan.permutation.astype("int64"), device=device)
        self.inverse = torch.argsort(self.permutation)
        self.shuffles = transform.steps[0].method == "shf"
        self.ffx = transform.steps[0].method == "ffx"
        tables = torch.tensor(plan.tables, device=device)
        changes = (tables != torch.arange(256, device=device)).any(dim=1)
        self.mask = changes[torch.tensor(plan.selector, device=device).long()]
        self.mean, self.std = (
            torch.tensor(values, device=device)[:, None, None] for values in plan.normalisation
        )
        if self.ffx:
            self.table = tables[changes][0].float()
            self.back = torch.zeros(1000, device=device)
            self.back[self.table.long()] = torch.arange(256.0, device=device)

    def encrypt(self, images: Tensor) -> Tensor:
        return self._through(images, self.permutation, self.table if self.ffx else None)

    def decrypt(self, encrypted: Tensor) -> Tensor:
        return self._through(encrypted, self.inverse, self.back if self.ffx else None)

    def to_input(self, images: Tensor) -> Tensor:
        return (self.encrypt(images) / self.max_value - self.mean) / self.std

    def _through(self, images: Tensor, permutation: Tensor, table: Tensor | None) -> Tensor:
        blocks = to_blocks(images, self.side)
        if self.shuffles:
            blocks = blocks[..., permutation]
        elif table is not None:
            blocks[..., self.mask] = table[blocks[..., self.mask].long()]
        else:
            blocks[..., self.mask] = 255 - blocks[..., self.mask]
        return from_blocks(blocks, images.shape, self.side).contiguous()


def to_blocks(images: Tensor, m: int) -> Tensor:
    """Images (B, C, H, W) as float blocks (B, H / m, W / m, m * m * C)."""
    b, c, h, w = images.shape
    blocks = images.float().permute(0, 2, 3, 1).reshape(b, h // m, m, w // m, m, c)
    return blocks.permute(0, 1, 3, 2, 4, 5).reshape(b, h // m, w // m, m * m * c)


def from_blocks(blocks: Tensor, shape: torch.Size, m: int) -> Tensor:
    """Blocks as images of that shape again, in whatever memory format it comes out."""
    b, c, h, w = shape
    blocks = blocks.reshape(b, h // m, w // m, m, m, c).permute(0, 1, 3, 2, 4, 5)
    return blocks.reshape(b, h, w, c).permute(0, 3, 1, 2)
