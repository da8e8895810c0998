"""Checkpoints that survive a kill at any moment.

One file each, ``epoch-00007-DIGEST.safetensors``, under a name that carries the SHA-256 of its
bytes. It is written beside its place and renamed, and the one before stays until it is there.
Torch's random state is not in it: the loop seeds every epoch anew from (seed, epoch, rank), so an
epoch depends on nothing but the tensors here. Nothing in it comes from the key.
"""

from __future__ import annotations

import hashlib
import json
import re
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from torch import Tensor

from seglock import files
from seglock.errors import TrainingError
from seglock.training.job import EpochRow

State = Mapping[str, Tensor]
FORMAT = 2
_NAME = re.compile(r"epoch-(?P<epoch>\d+)-(?P<digest>[0-9a-f]{16})\.safetensors")


@dataclass
class Course:
    """How far a training is, and the best it has seen.

    ``best`` is what was kept of epoch ``best_epoch``; ``run_id`` the run that has seen the epochs
    in ``history``.
    """

    history: list[EpochRow] = field(default_factory=list)
    best: State = field(default_factory=dict)
    best_epoch: int = 0
    seconds: float = 0.0
    run_id: str = ""

    @property
    def epoch(self) -> int:
        """The last finished epoch; 0 before the first."""
        return len(self.history)


@dataclass(frozen=True)
class Snapshot:
    """A training between two epochs; ``average`` may be empty. Tensors may be live."""

    course: Course
    model: State
    optimizer: State
    average: State = field(default_factory=dict)

    @property
    def judged(self) -> State:
        """What this epoch's figures are of: the averaged weights where there are any."""
        return self.average or self.model


def encode(snapshot: Snapshot) -> bytes:
    """A snapshot as safetensors bytes; the best weights only where the current ones are not."""
    import safetensors.torch

    course = snapshot.course
    parts = {
        "model": snapshot.model,
        "optimizer": snapshot.optimizer,
        "average": snapshot.average,
    }
    if course.best_epoch != course.epoch:
        parts["best"] = course.best
    tensors = {
        f"{part}/{name}": tensor.cpu().contiguous()
        for part, named in parts.items()
        for name, tensor in named.items()
    }
    about = {"format": FORMAT} | {n: value for n, value in vars(course).items() if n != "best"}
    return bytes(safetensors.torch.save(tensors, {"course": json.dumps(about)}))


def decode(content: bytes) -> Snapshot:
    """The inverse of ``encode``; raises TrainingError for bytes of another format."""
    import safetensors.torch

    (length,) = struct.unpack_from("<Q", content)
    about = json.loads(json.loads(content[8 : 8 + length])["__metadata__"]["course"])
    if about.pop("format") != FORMAT:
        raise TrainingError(
            "a checkpoint must have the format of this version of seglock",
            fix="continue with the version that wrote it, or remove its folder",
        )
    parts: dict[str, dict[str, Tensor]] = {"model": {}, "optimizer": {}, "average": {}, "best": {}}
    for name, tensor in safetensors.torch.load(content).items():
        part, _, rest = name.partition("/")
        parts[part][rest] = tensor
    best = parts.pop("best")
    snapshot = Snapshot(Course(**about), **parts)
    snapshot.course.best = best or snapshot.judged
    return snapshot


class CheckpointFolder:
    """The newest two checkpoints of one training. The caller holds the folder exclusively."""

    def __init__(self, folder: Path, say: Callable[[str], None]) -> None:
        self.folder = folder
        self._say = say
        self._good: Path | None = None

    def read(self) -> bytes | None:
        """The newest whole checkpoint's bytes, or None to start from scratch.

        A damaged one is said out loud, and the one before it is tried.
        """
        for leftover in self.folder.glob(".epoch-*.tmp"):
            leftover.unlink(missing_ok=True)
        found = sorted(self._all(), key=lambda path: path.name, reverse=True)
        for path in found:
            content = path.read_bytes()
            if _digest(content) == _NAME.fullmatch(path.name)["digest"]:  # type: ignore[index]
                self._good = path
                return content
            self._say(f"checkpoint {path} is damaged (its bytes do not match its checksum)")
        if found:
            self._say("no whole checkpoint is left: training starts from scratch")
        return None

    def write(self, snapshot: Snapshot) -> Path:
        """Write a snapshot, whole or not at all; then remove all but it and the one before."""
        content = encode(snapshot)
        path = self.folder / f"epoch-{snapshot.course.epoch:05d}-{_digest(content)}.safetensors"
        files.write_bytes(path, content)
        for old in self._all():
            if old not in (path, self._good):
                old.unlink(missing_ok=True)
        self._good = path
        return path

    def _all(self) -> list[Path]:
        return [p for p in self.folder.glob("epoch-*.safetensors") if _NAME.fullmatch(p.name)]


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]
