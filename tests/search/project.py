"""A project small enough for real trials: 16-pixel images, a network of four channels."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

from seglock.config import Params, check_params
from seglock.data import get_dataset, prepare_dataset
from seglock.files import write_json, write_text
from seglock.search.executor import TrialJob

VALUES: dict[str, Any] = {
    "data": {
        "image_side": 16,
        "val_split": 4,
        "synthetic": {"train": 16, "test": 2, "side": 32, "classes": 3},
    },
    "locks": {"baseline": {"steps": []}},
    "model": {"width": 4},
    "train": {"epochs": 3, "batch_size": 4, "lr": 0.1, "device": "cpu"},
}

PIPELINE = """
stages:
  data: {cmd: "true", outs: [data/raw]}
  prepare: {cmd: "true", outs: [data/prepared]}
  weights: {cmd: "true", outs: [data/weights]}
"""


def small_params(**sections: dict[str, Any]) -> Params:
    """VALUES with some values of some sections changed."""
    names = VALUES.keys() | sections.keys()
    merged = {name: {**VALUES.get(name, {}), **sections.get(name, {})} for name in names}
    return check_params(merged)


def make_root(root: Path) -> str:
    """A project's data/raw and data/prepared in ``root``; the digest of the latter."""
    data = small_params().data
    get_dataset(data, root / "data" / "raw")
    return prepare_dataset(data, root / "data" / "raw", root / "data" / "prepared").digest


def make_weights(root: Path, content: bytes = b"weights") -> None:
    """data/weights, with a file that only claims to hold some."""
    (root / "data" / "weights").mkdir(parents=True)
    write_json(root / "data" / "weights" / "weights.json", {"source": "file"})
    (root / "data" / "weights" / "weights.safetensors").write_bytes(content)


def make_job(
    root: Path, digest: str, name: str = "trial-0-1", *steps: str, **sections: dict[str, Any]
) -> TrialJob:
    """A job on the project at ``root``."""
    params = small_params(**sections).model_dump(mode="json")
    return TrialJob(id=name, steps=steps, params=params, root=str(root), data_digest=digest)


def dvc(root: Path, *arguments: str) -> None:
    """Run DVC in a folder, without git."""
    subprocess.run(
        [sys.executable, "-m", "dvc", *arguments, "-q"], cwd=root, check=True, timeout=120,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip


def push(root: Path, remote: Path) -> None:
    """Make ``root`` a DVC project and push its data to a remote, which is a folder."""
    dvc(root, "init", "--no-scm")
    dvc(root, "config", "core.analytics", "false")
    dvc(root, "remote", "add", "-d", "local", str(remote))
    write_text(root / "dvc.yaml", PIPELINE)
    dvc(root, "commit", "-f")
    dvc(root, "push")


def checkout(root: Path, folder: Path) -> Path:
    """What git would bring to another machine: the pipeline and its lock file, no data."""
    for name in ("dvc.yaml", "dvc.lock", ".dvc/config"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes((root / name).read_bytes())
    return folder
