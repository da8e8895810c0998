"""What the pipeline costs around the training: growth, sets larger than memory, starting.

    python -m benchmarks.pipeline [--quick] [--out docs/results]

growth: seconds at 2, 4 and 8 times the images or wrong keys beside that multiple of 1x, so that
1.00 is linear. streaming: a split read ahead from mapped files beside one in memory.
bounded: the work of each stage on a set of several times the private memory that the kernel
allows. starting: each command, and `dvc repro` with one lock more and with nothing to do.

What was found to limit, and what helped (two cores that others were using; a processor second is
not slowed by that):

- A set larger than memory did not open. Arrays were mapped copy-on-write, which Linux refuses for a
  file of more than memory and swap together ("Cannot allocate memory" for 60 GB on 23 GB). They
  are mapped for reading now: 67 GB open on the same machine.
- Random rows of a mapped file cost a read-around of what the disk is set up for, here 8 MiB for
  rows of 12 kB. Asking for the rows of a batch together (``MADV_WILLNEED``) took 64 batches of 16
  from 12.6 to 0.02 s of system time, and from 185 to 0.6 s on the clock.
- On the CPU torch's ``index_select`` over the map gave 0.3 to 9 thousand images of 256 px a second,
  NumPy's indexing 50 to 90 thousand, so that the CPU reads ahead too.
- Checking a set noted a task for every image before the first was done; now 1024 at a time.
- `dvc repro` with nothing to do parses params.yaml once a stage (13 ms each for the demo, by
  ruamel's parser in pure Python) and dvc.lock twice (106 ms). With ruamel's C parser installed
  (``ruamel.yaml[oldlibyaml]``; no dependency yet) 1.18 became 0.90 processor seconds, of which
  starting DVC is 0.49. So the time grows with locks times the length of params.yaml.
- `seglock key list` without NumPy: 0.26 instead of 0.33 processor seconds. The rest of it, and of
  `seglock --help`, is Typer, with what it takes from pydantic and rich.
- Python's compiled files: with PYTHONDONTWRITEBYTECODE set, `dvc repro` with nothing to do takes
  2.4 instead of 1.2 processor seconds, `import torch` 3.6 instead of 1.7.

What did not help: reading a batch with 4 or 8 threads (48 to 67 thousand images a second where one
has 73; with pages dropped 31 to 41, and one that asks ahead 54); ``np.take`` instead of indexing
(32 to 50). Not taken: ``MADV_RANDOM``, as fast over holes, but it reads a disk page by page, and
would slow what goes through the same arrays in order. A stage's check of the arrays' digests reads
the whole set once, at 1.45 GB/s: a cost a stage, and linear.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.pipeline_bounded import MIB
from benchmarks.pipeline_commands import HEAVY, make, pipeline_rows, start_rows
from benchmarks.pipeline_growth import Sizes, growth_rows
from benchmarks.pipeline_streaming import Load, streaming_rows
from benchmarks.results import REPOSITORY, RESULTS, Row, device_slug, show_rows, write_rows

FULL = {
    "growth": Sizes(unit=160, multiples=(1, 2, 4, 8), keys=4, repeats=3),
    "cpu": Load(512, 64, 32, "fcn_small", 16, reading=4096, repeats=2),
    "gpu": Load(2048, 256, 128, "fcn_resnet50", 16, reading=4096, repeats=2),
    "bounded": {"images": 3000, "limit": 192},
    "locks": (1, 2, 4),
    "repeats": 3,
}
QUICK = {
    "growth": Sizes(unit=40, multiples=(1, 2), keys=1, repeats=1, side=32, width=4),
    "cpu": Load(32, 32, 8, "fcn_small", 4, reading=64, repeats=1),
    "gpu": Load(32, 32, 8, "fcn_small", 4, reading=64, repeats=1),
    "bounded": {"images": 64, "limit": 192},
    "locks": (),
    "repeats": 1,
}


def bounded_rows(folder: Path, images: int, limit: int) -> list[Row]:
    """A child process under the limit goes through the stages; it fails if it needs more."""
    command = [sys.executable, "-m", "benchmarks.pipeline_bounded", str(folder)]
    command += ["--images", str(images), "--limit", str(limit)]
    done = subprocess.run(command, cwd=REPOSITORY, text=True, stdout=subprocess.PIPE, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} exited {done.returncode}")
    rows = []
    for figure in json.loads(done.stdout):
        private = max(figure["private"], MIB)  # less is not told from nothing
        rows.append(
            Row(
                f"private memory to {figure['stage']} {figure['bytes'] / 1e9:.2f} GB of arrays",
                private / 1e6,
                "MB",
                "the arrays",
                figure["bytes"] / private,
                f"what the kernel allows, {limit * MIB / 1e6:.0f} MB",
                private / (limit * MIB),
            )
        )
    return rows


def measure(sizes: dict[str, Any], scratch: Path) -> dict[str, list[Row]]:
    """All rows, by part."""
    parts: dict[str, list[Row]] = {}
    if sizes["locks"]:
        project = make(scratch / "commands")
        parts["pipeline"] = pipeline_rows(project, sizes["locks"], sizes["repeats"])
        parts["starting"] = start_rows(project, sizes["repeats"], HEAVY)
    load = sizes["cpu" if device_slug() == "cpu" else "gpu"]
    parts["bounded"] = bounded_rows(scratch / "bounded", **sizes["bounded"])
    parts["streaming"] = streaming_rows(load, scratch / "streaming")
    parts["growth"] = growth_rows(sizes["growth"], scratch / "growth")
    return parts


def main(arguments: list[str] | None = None) -> Path:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="tiny sets, no commands: seconds")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the figures")
    given = parser.parse_args(arguments)
    sizes = QUICK if given.quick else FULL
    prefix = "seglock-benchmark-"
    with tempfile.TemporaryDirectory(prefix=prefix, ignore_cleanup_errors=True) as scratch:
        parts = measure(sizes, Path(scratch))
    for name, rows in parts.items():
        show_rows(name, rows)
    settings = {name: str(value) for name, value in sizes.items()}
    rows = [row for part in parts.values() for row in part]
    return write_rows("pipeline", rows, settings=settings, folder=given.out)


if __name__ == "__main__":
    main()
