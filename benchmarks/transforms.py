"""How fast the transforms are, beside the textbook way and beside a copy, all from one run.

    python -m benchmarks.transforms [--quick] [--out docs/results]

A rate counts the bytes that a work must read and write: for `to_input`, the fused path, one byte
read and two written a value (uint8 in, bfloat16 out, channels_last on CUDA). The reference is the
textbook formulation on the same device, the limit a copy of as many images into memory that
exists already, rated alike: bytes read and written. Inputs and results rotate over several
batches, each alone larger than the cache; every figure is the best of several repetitions, a copy's
the median of those bests over the run. On CUDA the queue is filled while the card waits, so that
kernels are timed and not Python.

Found on two cores (thread time a core, 64 images of 3 x 256 x 256):

- NumPy's take, the limit before, needs 64-bit indices and up to five passes: to_input 0.45-0.75
  GB/s of pixels. One compiled pass over packed words (source << 8 | table) does 1.0-2.3.
- Two images at a time share the load of a position: 1.6 to 2.2 GB/s. Four gained no more.
- 64-bit indices instead of 32: 1.1 instead of 1.6. Indices separate from table numbers: 1.8
  instead of 2.2. Signed 32-bit indices: a tenth slower than unsigned, tested for being negative.
- Tiles of 4096 positions over all images, to keep the indices in the first cache: slower, by far
  for whole-image blocks (0.7 instead of 1.2), whose images then leave the cache instead.
- SHF over whole images is bound by the second cache (196 KB of image, 786 KB of words).
- float32 results are bound by memory: the system clears new pages at about the speed at which
  they are then written. Writing into memory that exists would be twice as fast; ours is new.
- NP alone is one XOR in torch's threads, at the speed of a copy.

For CUDA: 16-byte stores, no spills, and an affine instead of a table of floats wherever that gives
the same bits. On an H100 np encrypts at 0.53 to 0.79 of a copy, shf and ffx make inputs at 0.33 to
0.58 up to M = 16; a whole image's shuffle (0.10) waits for single bytes from the second cache. To
try next: a tile of the image staged through shared memory.
"""

from __future__ import annotations

import argparse
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import median

import torch
from torch import Tensor

from benchmarks.results import RESULTS, Row, show_rows, write_rows
from benchmarks.textbook import Textbook
from seglock import Transform, build_transform
from seglock.keys import demonstration_key
from seglock.transforms.parallel import thread_count

METHODS = ("shf", "np", "ffx")
BLOCKS = (2, 4, 16, 256)
WORKS = ("encrypt", "decrypt", "to_input", "float32 to_input")
REFERENCE = "the textbook way"
LIMIT = "a copy into existing memory"
CLOSE = {torch.bfloat16: 2e-2, torch.float32: 1e-5}
ROTATED = 4  # batches that inputs and results go round
QUEUED = 10  # calls between two events

Work = Callable[[Tensor], Tensor]


def noise(batch: int, side: int, device: torch.device) -> list[Tensor]:
    """Different batches of uniform noise: no value is like its neighbour, the worst case."""
    dice = torch.Generator().manual_seed(0)
    shape = (batch, 3, side, side)
    made = (torch.randint(0, 256, shape, dtype=torch.uint8, generator=dice) for _ in range(ROTATED))
    return [images.to(device) for images in made]


def seconds(work: Work, given: Sequence[Tensor], repeats: int) -> float:
    """Seconds for one call, the best of some, going round the inputs."""
    cuda = given[0].is_cuda
    return min(_queued(work, given, repeats) if cuda else _called(work, given, repeats))


def _called(work: Work, given: Sequence[Tensor], repeats: int) -> Iterator[float]:
    for index in range(repeats):
        start = time.perf_counter()
        result = work(given[index % len(given)])
        yield time.perf_counter() - start
        del result


def _queued(work: Work, given: Sequence[Tensor], repeats: int) -> Iterator[float]:
    kept: deque[Tensor] = deque(maxlen=ROTATED)  # else all results would lie in the same memory
    for _ in range(repeats):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        torch.cuda._sleep(20_000_000)  # about 10 ms, in which the calls are queued
        start.record()
        for index in range(QUEUED):
            kept.append(work(given[index % len(given)]))
        end.record()
        end.synchronize()
        yield start.elapsed_time(end) / QUEUED / 1e3


def copies(images: Sequence[Tensor], repeats: int) -> tuple[float, float]:
    """Bytes a second, read and written: of a copy into existing memory, and into new memory."""
    targets = [torch.zeros_like(image) for image in images]
    turn = iter(range(1 << 30))
    into = seconds(lambda x: targets[next(turn) % ROTATED].copy_(x), images, repeats)
    new = seconds(torch.clone, images, repeats)
    size = 2 * images[0].nbytes
    return size / into, size / new


def our_work(transform: Transform, name: str, cuda: bool) -> Work:
    """A transform's work as training and evaluation call it on this device."""
    if name in ("encrypt", "decrypt"):
        work: Work = getattr(transform, name)
        return work
    dtype = torch.float32 if "float32" in name else torch.bfloat16
    layout = torch.channels_last if cuda else torch.contiguous_format
    return lambda images: transform.to_input(images, dtype=dtype, memory_format=layout)


def measure(images: Sequence[Tensor], blocks: Sequence[int], repeats: int) -> list[Row]:
    """Every row: the copies, then each work of each method and block side."""
    device, measured = images[0].device, []
    speeds = [copies(images, repeats)]
    for method in METHODS:
        for block in blocks:
            transform = build_transform(method, block_size=block, key=demonstration_key())
            textbook = Textbook(transform, device)
            encrypted = [transform.encrypt(batch) for batch in images]
            for name in WORKS:
                given = encrypted if name == "decrypt" else images
                ours = our_work(transform, name, device.type == "cuda")
                theirs = getattr(textbook, name.split()[-1])
                moved = check(ours, theirs, given[0]) * len(given[0])
                ours(given[0])  # plans, caches and compiled code are ready from here on
                fast = seconds(ours, given, repeats)
                slow = seconds(theirs, given, max(2, repeats // 4))
                measured.append((f"{name} {method}-{block}", moved / fast, slow / fast))
            speeds.append(copies(images, max(2, repeats // 3)))
    into, new = (median(speed) for speed in zip(*speeds, strict=True))
    rows = [Row("a copy into new memory", new / 1e9, "GB/s", None, None, LIMIT, new / into)]
    for name, speed, ratio in measured:
        rows.append(Row(name, speed / 1e9, "GB/s", REFERENCE, ratio, LIMIT, speed / into))
    return rows


def check(ours: Work, theirs: Work, given: Tensor) -> int:
    """The bytes that ours reads and writes for an image; ends where the two differ."""
    made, expected = ours(given[:2]), theirs(given[:2])
    exact = not made.is_floating_point()
    error = float((made.float() - expected).abs().max())
    if error > (0 if exact else CLOSE[made.dtype]):
        raise SystemExit(f"ours and the textbook differ by {error}: nothing to compare")
    return (given[:2].nbytes + made.nbytes) // len(made)


def aims(rows: Sequence[Row], cuda: bool) -> list[str]:
    """What was aimed at beside what was reached, the worst of the rows that it is about."""
    lines = []
    for about, methods, blocks, figure, aim in CUDA_AIMS if cuda else CPU_AIMS:
        names = [f"{w} {m}-{b}" for w in about for m in methods for b in blocks]
        chosen = [row for row in rows if row.name in names]
        if not chosen:
            continue
        worst = min(chosen, key=lambda row: getattr(row, figure))
        reached = getattr(worst, figure)
        verdict = "reached" if reached >= aim else "missed"
        what = "times the textbook" if figure == "ratio" else "of a copy"
        whom = f"{', '.join(about)} of {', '.join(methods)}"
        lines.append(f"{whom}: aim {aim:g} {what}, {verdict}: {reached:.2f} ({worst.name})")
    return lines


CUDA_AIMS = (
    (("to_input",), ("np",), BLOCKS, "share_of_limit", 0.75),
    (("to_input",), ("shf", "ffx"), (2, 4, 16), "share_of_limit", 0.5),
    (("to_input",), ("shf", "ffx"), (256,), "share_of_limit", 0.3),
)
CPU_AIMS = (
    (("encrypt", "decrypt"), METHODS, BLOCKS, "ratio", 20),
    (("to_input",), METHODS, BLOCKS, "ratio", 20),
    (("float32 to_input",), METHODS, BLOCKS, "ratio", 20),
    (("encrypt", "decrypt"), ("np",), BLOCKS, "share_of_limit", 1),
)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="16 images, M = 4 and 256, twice")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the JSON")
    given = parser.parse_args(arguments)
    batch, blocks, repeats = (16, (4, 256), 2) if given.quick else (256, BLOCKS, 9)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    rows = measure(noise(batch, 256, device), blocks, repeats)
    show_rows(f"{batch} images of 3 x 256 x 256, bytes read and written", rows)
    reached = aims(rows, device.type == "cuda")
    print(*reached, sep="\n")
    settings = {
        "batch": batch,
        "side": 256,
        "threads": thread_count(),
        "rotated_batches": ROTATED,
        "repetitions": repeats,
        "aims": reached,
    }
    print(f"written: {write_rows('transforms', rows, settings=settings, folder=given.out)}")


if __name__ == "__main__":
    main()
