"""Access control: N wrong keys over a test split, beside the network alone and a plain loop.

    python -m benchmarks.access_control [--quick] [--out FOLDER]

The limit is the network's forward pass on inputs that lie on the device already, in the same
precision and layout, as many passes as the evaluation makes, in whichever of whole batches and
pieces is faster. The reference is the loop people write: for each key a DataLoader with workers
over image files, the textbook transform on the CPU, float32, a confusion matrix. Its mean IoU
under each key must be ours before anything is timed. Each number of keys has a process of its
own, so that its memory is its own; a pass of the split is what a key costs.

What limited, for fcn_small at 64 on one core of an EPYC (milliseconds of processor time for 64
images, of which the forward pass needs 18 to 31):
- argmax over the classes took 26: ``max`` over the same dimension takes 1.7, with the same ties.
- Layers of 8 MB went back to the operating system each time, 6,500 page faults a batch of 64: 31
  whole, 18 in pieces of 16. Pieces of two images or more gave equal bits, single ones did not.
- The confusion matrix took 1.4: 0.2 with the masks laid out once for all keys and int32 indices.
The evaluation of 16 keys went from 149 to 52 a pass of 128 images, with the same figures. What is
left beside the forward pass is the transform (2.5 with its plan), ``max`` and the count (0.5).

Done for a GPU, of which no figure is known here: nothing in a pass waits for the device (the
matrix is counted by integer atomics, not by ``bincount``, which asks for the largest index; labels
are checked before the upload; matrices stay there until the end); the split stays in its memory
where it fits; plans are made a few keys ahead in a thread; the weights are rounded to bfloat16
once instead of at every pass.

What did not help, or was not worth it:
- Planning ahead on the CPU: its cores are at work already, and two buffers are held at once.
- A running maximum over the classes instead of ``max``: 1.2 for 1.7, for eight operations a class.
- torch.compile and CUDA graphs, by reckoning alone: 100 keys of CamVid at 256 are 1.6 PFLOP, some
  5 seconds at 0.3 PFLOP/s, less than compiling takes; launches limit small networks only.
- Several keys in one forward pass, by reckoning too: no memory is left for them where a batch is
  full, and the splits of all profiles are larger than a batch.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.results import REPOSITORY, RESULTS, Row, show_rows, write_rows


@dataclass(frozen=True)
class Case:
    """One network over one split under one SHF lock, and the numbers of wrong keys."""

    network: str
    side: int
    classes: int
    images: int
    batch: int
    block: int
    keys: tuple[int, ...]
    repeats: int
    width: int = 32

    def __str__(self) -> str:
        return f"{self.network} at {self.side}, shf-{self.block}"


QUICK = (Case("fcn_small", 32, 4, 10, 8, 4, (2, 4), repeats=1, width=8),)
CPU = (
    Case("fcn_small", 64, 7, 128, 64, 4, (4, 16, 64), repeats=3),  # the demo's
    Case("fcn_resnet50", 64, 7, 4, 4, 4, (4, 16), repeats=2),
)
CUDA = (
    Case("fcn_resnet50", 256, 11, 233, 64, 4, (4, 16, 64), repeats=3),  # CamVid's
    Case("fcn_resnet50", 256, 11, 233, 64, 256, (16,), repeats=3),
)
LOOP = "the loop"
LIMIT = "the forward passes alone"


def measure(case: Case, keys: int) -> dict[str, Any]:
    """What `access_control_case.measure` finds, in a process of its own."""
    given = json.dumps(asdict(case) | {"keys": keys})
    command = [sys.executable, "-m", "benchmarks.access_control_case", given]
    done = subprocess.run(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True, check=True)
    figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return figures


def rows_of(case: Case, found: dict[int, dict[str, Any]]) -> list[Row]:
    """Speed beside the loop and the limit; then what a key costs, beside the fewest keys."""
    rows, least = [], min(found)
    for keys, one in found.items():
        name = f"{case}, {keys} wrong keys"
        share, ratio = one["limit"] / one["seconds"], one["loop"] / one["seconds_a_pass"]
        speed = case.images / one["seconds_a_pass"]
        rows.append(Row(name, speed, "images/s", LOOP, ratio, LIMIT, share))
    for what, unit in (("seconds_a_pass", "ms"), ("memory", "MB")):
        for keys, one in found.items():
            name = f"{case}, {keys} wrong keys, {'a key' if unit == 'ms' else 'memory'}"
            beside = (f"{least} keys", found[least][what] / one[what]) if keys != least else ()
            scaled = one[what] * (1e3 if unit == "ms" else 1e-6)
            rows.append(Row(name, scaled, unit, *beside))
    return rows


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="a tiny network and split")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the JSON file")
    given = parser.parse_args(arguments)
    import torch

    cases = QUICK if given.quick else CUDA if torch.cuda.is_available() else CPU
    rows, measured = list[Row](), list[dict[str, Any]]()
    for case in cases:
        found = {keys: measure(case, keys) for keys in case.keys}
        show_rows(str(case), made := rows_of(case, found))
        rows += made
        measured.append(asdict(case))  # written at once: a later case may be stopped
        settings = {"cases": measured}
        print(write_rows("access_control", rows, settings=settings, folder=given.out))


if __name__ == "__main__":
    main()
