"""Stand-ins for `run_trial`: an executor's mechanics without a training. Imports nothing heavy.

``job.params["fake"]`` says what one does; see `fake_run`.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from seglock.errors import TrainingError
from seglock.search.executor import TrialJob, TrialResult

PATIENCE = 60.0


def fake_job(name: str, **fake: Any) -> TrialJob:
    """A job for `fake_run`."""
    return TrialJob(id=name, steps=("np-4",), params={"fake": fake}, root=".", data_digest="0" * 64)


def fake_run(
    job: TrialJob, *, scratch: Path, on_epoch: Callable[..., bool], worker: str
) -> TrialResult:
    """Pretend to train.

    epochs: how many (3). started: a file to write the process number to. child: one for the number
    of a process that it starts, which would last for ever. gate: (epoch, file):
    before that epoch wait until the file is there. die: kill this process after so many epochs.
    error: raise it after the epochs: "training", "disk" or "odd". tell: what stands in ``device``:
    "environment" or "threads".
    """
    fake = job.params["fake"]
    rows: list[Any] = []
    stopped = None
    if "started" in fake:
        write_whole(Path(fake["started"]), str(os.getpid()))
    if "child" in fake:
        child = subprocess.Popen(["sleep", "infinity"])
        write_whole(Path(fake["child"]), str(child.pid))
    for epoch in range(1, fake.get("epochs", 3) + 1):
        if fake.get("gate", [0])[0] == epoch:
            wait_for(Path(fake["gate"][1]).exists)
        if fake.get("die") == epoch:
            os.kill(os.getpid(), signal.SIGKILL)
        rows.append({"epoch": epoch, "lr": 0.1, "train_loss": 1.0, "val_loss": 1 / 3,
                     "val_miou": epoch / 7})  # fmt: skip
        if on_epoch(rows[-1]):
            stopped = epoch
            break
    _raise(fake.get("error"))
    return TrialResult(
        job=job.id,
        scores=None if stopped else {"owner_miou": 1 / 7, "plain": {"iou": {"a": None}}},
        curve=tuple(rows),
        stopped_at=stopped,
        key_id="0123456789abcdef",
        key_hash="$argon2id$",
        key_space_bits=1 / 9,
        best_epoch=1,
        train_seconds=0.1,
        evaluate_seconds=0.2,
        device=_tell(fake.get("tell")),
        worker=worker,
    )


def _raise(kind: str | None) -> None:
    if kind == "training":
        raise TrainingError("the loss must be finite", got="nan", fix="lower\nthe learning rate")
    if kind == "disk":
        raise OSError(28, "No space left on device")
    if kind == "odd":
        raise ZeroDivisionError("what nobody thought of")


def _tell(what: str | None) -> str:
    if what == "environment":
        return json.dumps(dict(os.environ))
    return os.environ.get("OMP_NUM_THREADS", "") if what == "threads" else "cpu"


def write_whole(path: Path, text: str) -> None:
    """Write a file that is never seen half written."""
    part = path.with_suffix(".part")
    part.write_text(text)
    part.replace(path)


def wait_for(happened: Callable[[], Any], what: str = "that") -> Any:
    """What ``happened`` returns once it is true; fails after a minute."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if found := happened():
            return found
        time.sleep(0.01)
    raise AssertionError(f"{what} did not happen within {PATIENCE:g} s")


def is_running(process: int) -> bool:
    """Whether a process is there and is not a zombie."""
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"
