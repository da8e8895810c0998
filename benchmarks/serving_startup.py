"""How soon a client's command is done with one photo, from nothing, beside importing torch."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.results import Row
from benchmarks.serving_client import write_photo
from benchmarks.serving_package import write_case
from seglock.keys import KeyStore

_KEY = "mine"
_TORCH = "python -c 'import torch'"


def startup_rows(rounds: int) -> list[dict[str, Any]]:
    """Seconds of `seglock encrypt` and of `seglock predict --onnx`, in rounds that take turns with
    the reference; of several the first, which finds nothing in memory, does not count."""
    with tempfile.TemporaryDirectory() as folder:  # a key may lie in no git work tree
        return [asdict(row) for row in _rows(Path(folder), rounds)]


def _rows(folder: Path, rounds: int) -> list[Row]:
    store = KeyStore(folder / "keys")
    store.new(_KEY)
    model = write_case(folder / "package", 64, "fcn_small", 32, onnx=True, key=store.load(_KEY))
    photo = write_photo(folder)
    given = [str(photo), "--model", str(model), "--key", _KEY, "--out"]
    commands = {
        _TORCH: [sys.executable, "-c", "import torch"],
        "seglock encrypt": ["seglock", "encrypt", *given],
        "seglock predict --onnx": ["seglock", "predict", "--onnx", *given],
    }
    seen: dict[str, list[float]] = {name: [] for name in commands}
    environ = os.environ | {"SEGLOCK_KEY_DIR": str(folder / "keys")}
    for turn in range(rounds):
        for name, command in commands.items():
            out = [] if name == _TORCH else [str(folder / f"{name} {turn}")]
            seen[name].append(_seconds([*command, *out], environ))
    took = {name: median(times[1:] or times) for name, times in seen.items()}
    reference = took.pop(_TORCH)
    return [
        Row(f"{name}: one photo, start to end", seconds, "s", _TORCH, reference / seconds)
        for name, seconds in took.items()
    ]


def _seconds(command: Sequence[str], environ: dict[str, str]) -> float:
    start = time.perf_counter()
    subprocess.run(command, env=environ, check=True, capture_output=True)
    return time.perf_counter() - start
