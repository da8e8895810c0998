"""Trainings in processes of their own, ended by a real SIGKILL at a chosen moment."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn

import torch

from seglock import files
from seglock.tracking import MemoryTracker
from seglock.training import loop, train
from seglock.training.progress import Display
from tests.training.small import digest_of, small_job, small_params

# Batch normalisation, dropout-free: what a checkpoint forgets would show in the weights.
RECIPE: dict[str, Any] = {
    "epochs": 4, "batch_size": 5, "drop_last": False, "select": "val_miou", "color_jitter": 0.4,
    "average": 0.9, "reestimate_batch_norm": True,
}  # fmt: skip


def die(*_: object, **__: object) -> NoReturn:
    """As ``kill -9`` does: no handler, no cleaning up."""
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


def run(folder: Path, moment: str = "") -> None:
    """Train in ``folder``, dying at ``moment``; a finished training leaves ``outcome.json``."""
    torch.set_num_threads(1)
    MOMENTS[moment]()
    result = train(small_job(folder, small_params(**RECIPE)), tracker=Tracker(), progress=False)
    outcome = {
        "weights": digest_of(result.weights),
        "history": result.history,
        "kept": [result.val_loss, result.val_miou],
        "best_epoch": result.best_epoch,
        "resumed_from": result.resumed_from,
    }
    (folder / "outcome.json").write_text(json.dumps(outcome))


class Tracker(MemoryTracker):
    """Calls ``on_metrics`` before it keeps anything."""

    on_metrics: Callable[[int], None] = staticmethod(lambda step: None)

    def log_metrics(
        self, metrics: Mapping[str, float], step: int | None = None, *, again: bool = False
    ) -> None:
        assert step is not None
        self.on_metrics(step)
        super().log_metrics(metrics, step, again=again)


def _in_a_step() -> None:
    done = 0

    def step(self: Display) -> None:
        nonlocal done
        done += 1
        if done == 8:  # the second of three steps of the third epoch
            die()

    Display.step = step  # type: ignore[method-assign]


def _when_tracked() -> None:
    Tracker.on_metrics = staticmethod(lambda step: die() if step == 2 else None)


def _at_write(number: int, act: Callable[[Path, bytes], None]) -> None:
    """Replace the ``number``-th checkpoint write by ``act``."""
    write, done = files.write_bytes, 0

    def instead(path: Path, content: bytes, *, mode: int = 0o644) -> None:
        nonlocal done
        done += 1
        if done == number:
            act(path, content)
        write(path, content, mode=mode)

    files.write_bytes = instead


def _half_written(path: Path, content: bytes) -> None:
    with files.replacing(path) as file:
        file.write(content[: len(content) // 2])
        file.flush()
        die()


def _before_the_rename(path: Path, content: bytes) -> None:
    Path.replace = die  # type: ignore[assignment,method-assign]


def _after_the_rename(path: Path, content: bytes) -> None:
    Path.unlink = die  # type: ignore[method-assign]


def _while_the_weights_are_written() -> None:
    def half(path: Path, *_: object) -> None:
        path.write_bytes(b"\0" * 100)
        die()

    loop.save_weights = half  # type: ignore[assignment]


MOMENTS: dict[str, Callable[[], None]] = {
    "": lambda: None,
    "in a step": _in_a_step,
    "in the first epoch": lambda: _at_write(1, die),
    "when an epoch is tracked": _when_tracked,
    "while a checkpoint is half written": lambda: _at_write(3, _half_written),
    "while the first checkpoint is half written": lambda: _at_write(1, _half_written),
    "before a checkpoint is renamed": lambda: _at_write(2, _before_the_rename),
    "before the old checkpoint is removed": lambda: _at_write(3, _after_the_rename),
    "after the last epoch": _while_the_weights_are_written,
}
