"""How fast the transforms are: bytes of image a second, beside a plain copy and the textbook way.

    python benchmarks/transforms.py [--quick] [--batch 256] [--side 256] [--noise] [--json PATH]

The textbook way is what a paper's code does: to float, to NHWC, reshape to blocks, index, reshape
back. The copy is a tensor's clone(), which returns new memory as the transforms do. All figures of
a table are measured in one run, so that their ratios hold on any machine; each is the best of
several repetitions. Rates count the plain image's bytes in every column.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from seglock import Transform, build_transform
from seglock.files import write_json
from seglock.keys import demonstration_key
from seglock.transforms import INPUT_MEAN, INPUT_STD
from seglock.transforms.tiles import thread_count

METHODS = ("shf", "np", "ffx")
BLOCKS = (2, 4, 16, 256)


class Textbook:
    """The transforms as the papers' code writes them, from the same plan."""

    def __init__(self, transform: Transform) -> None:
        plan = transform._plan
        self.side, self.max_value = plan.block_size, transform.max_value
        self.permutation = torch.tensor(plan.permutation.astype("int64"))
        self.inverse = torch.argsort(self.permutation)
        self.shuffles = transform.steps[0].method == "shf"
        self.ffx = transform.steps[0].method == "ffx"
        tables = torch.tensor(plan.tables)
        changes = (tables != torch.arange(256)).any(dim=1)
        self.mask = changes[torch.tensor(plan.selector).long()]
        if self.ffx:
            self.table = tables[changes][0].float()
            self.back = torch.zeros(1000)
            self.back[self.table.long()] = torch.arange(256.0)

    def encrypt(self, images: Tensor) -> Tensor:
        blocks = self._blocks(images)
        if self.shuffles:
            blocks = blocks[..., self.permutation]
        elif self.ffx:
            blocks[..., self.mask] = self.table[blocks[..., self.mask].long()]
        else:
            blocks[..., self.mask] = 255 - blocks[..., self.mask]
        return self._images(blocks, images.shape)

    def decrypt(self, encrypted: Tensor) -> Tensor:
        blocks = self._blocks(encrypted)
        if self.shuffles:
            blocks = blocks[..., self.inverse]
        elif self.ffx:
            blocks[..., self.mask] = self.back[blocks[..., self.mask].long()]
        else:
            blocks[..., self.mask] = 255 - blocks[..., self.mask]
        return self._images(blocks, encrypted.shape)

    def to_input(self, images: Tensor) -> Tensor:
        mean = torch.tensor(INPUT_MEAN)[:, None, None]
        std = torch.tensor(INPUT_STD)[:, None, None]
        return (self.encrypt(images) / self.max_value - mean) / std

    def _blocks(self, images: Tensor) -> Tensor:
        b, c, h, w = images.shape
        m = self.side
        blocks = images.float().permute(0, 2, 3, 1).reshape(b, h // m, m, w // m, m, c)
        return blocks.permute(0, 1, 3, 2, 4, 5).reshape(b, h // m, w // m, m * m * c)

    def _images(self, blocks: Tensor, shape: torch.Size) -> Tensor:
        b, c, h, w = shape
        m = self.side
        blocks = blocks.reshape(b, h // m, w // m, m, m, c).permute(0, 1, 3, 2, 4, 5)
        return blocks.reshape(b, h, w, c).permute(0, 3, 1, 2).contiguous()


def noise(batch: int, side: int) -> Tensor:
    torch.manual_seed(0)
    return torch.randint(0, 256, (batch, 3, side, side), dtype=torch.uint8)


def photographs(batch: int, side: int) -> Tensor:
    """Smooth surfaces with a little grain: neighbours are alike, as in a photograph."""
    coarse = noise(batch, max(2, side // 16)).float()
    smooth = torch.nn.functional.interpolate(coarse, size=(side, side), mode="bilinear")
    return (smooth + torch.randn_like(smooth) * 3).clamp(0, 255).to(torch.uint8)


def rate(work: Callable[[], object], bytes_: int, repeats: int) -> float:
    """Bytes a second, the best of some repetitions."""
    best = float("inf")
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - start)
    return bytes_ / best


def measure(images: Tensor, blocks: list[int], repeats: int) -> dict[str, Any]:
    """All figures as plain data: ``{"copy": ..., "rows": [...]}``, rates in bytes a second."""
    size = images.numel()
    target = torch.empty_like(images)
    rows = []
    for method in METHODS:
        for block in blocks:
            transform = build_transform(method, block_size=block, key=demonstration_key())
            textbook = Textbook(transform)
            encrypted = transform.encrypt(images)
            if not torch.equal(textbook.encrypt(images[:2]), encrypted[:2].float()):
                raise SystemExit(f"{transform} and the textbook differ: nothing to compare")
            # Beside each row, since a machine's speed may change during a run.
            copy = rate(images.clone, size, 3 * repeats)
            into = rate(lambda: target.copy_(images), size, 3 * repeats)
            for name, given in (("encrypt", images), ("decrypt", encrypted), ("to_input", images)):
                ours, theirs = getattr(transform, name), getattr(textbook, name)
                ours(given), theirs(given[:1])  # plans, caches and threads are ready from here on
                fast = rate(lambda f=ours, x=given: f(x), size, repeats)
                slow = rate(lambda f=theirs, x=given: f(x), size, max(1, repeats // 4))
                rows.append(
                    {
                        "method": method,
                        "block_size": block,
                        "work": name,
                        "bytes_per_second": fast,
                        "copy": copy,
                        "copy_into": into,
                        "textbook": slow,
                    }
                )
    return {
        "batch": len(images),
        "side": images.shape[-1],
        "threads": thread_count(),
        "torch": torch.__version__,
        "rows": rows,
    }


def show(figures: dict[str, Any]) -> None:
    """The figures as a table: GB/s, and the ratios to a copy and to the textbook."""
    into = max(row["copy_into"] for row in figures["rows"])
    table = Table(
        title=f"{figures['batch']} images of 3 x {figures['side']} x {figures['side']}, "
        f"{figures['threads']} threads; copying into existing memory: {into / 1e9:.1f} GB/s"
    )
    for name in ("method", "M", "work"):
        table.add_column(name)
    for name in ("GB/s", "copy GB/s", "of a copy", "textbook GB/s", "times textbook"):
        table.add_column(name, justify="right")
    for row in figures["rows"]:
        ours, copy, textbook = row["bytes_per_second"], row["copy"], row["textbook"]
        table.add_row(
            row["method"],
            str(row["block_size"]),
            row["work"],
            f"{ours / 1e9:.2f}",
            f"{copy / 1e9:.1f}",
            f"{ours / copy:.2f}",
            f"{textbook / 1e9:.3f}",
            f"{ours / textbook:.0f}",
            end_section=row["work"] == "to_input",
        )
    Console().print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="16 images, M = 4 and 16, 3 times")
    parser.add_argument("--batch", type=int, default=None, help="images (default 256)")
    parser.add_argument("--side", type=int, default=256, help="image side in pixels")
    parser.add_argument("--blocks", type=int, nargs="+", default=None, help="block sides")
    parser.add_argument("--noise", action="store_true", help="uniform noise, the worst case")
    parser.add_argument("--json", type=Path, default=None, help="also write the figures there")
    given = parser.parse_args()
    batch = given.batch or (16 if given.quick else 256)
    blocks = given.blocks or ((4, 16) if given.quick else BLOCKS)
    images = noise(batch, given.side) if given.noise else photographs(batch, given.side)
    figures = measure(images, [b for b in blocks if b <= given.side], 3 if given.quick else 9)
    show(figures)
    if given.json:
        write_json(given.json, figures)


if __name__ == "__main__":
    main()
