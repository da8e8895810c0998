"""One small file a run, ``.seglock/runs/ID.json``: what the run is, and what tells it again.

A lock beside it is held by the process that writes to the run, so that a dead one is known by it.
"""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import Any, Literal, Self

import filelock
from pydantic import Field

from seglock.errors import TrackingError
from seglock.foreign import is_run_id
from seglock.results.record import Record
from seglock.tracking.memory import Status


def now() -> int:
    """Milliseconds since 1970, as MLflow counts."""
    return time.time_ns() // 1_000_000


class RunRecord(Record):
    """What a run is. Times are in milliseconds since 1970.

    ``results``: the result files that it was told of, by their path in the project, each with its
    folder among the run's artifacts and its SHA-256. ``store`` is the address, without credentials,
    of the store that has the run as ``store_run_id``, in its experiment ``experiment_id``;
    ``complete``: it has all of it.
    """

    run_id: str
    name: str
    experiment: str
    started: int
    ended: int | None = None
    status: Literal["RUNNING"] | Status = "RUNNING"
    params: dict[str, str] = Field(default_factory=dict)
    tags: dict[str, str] = Field(default_factory=dict)
    datasets: tuple[dict[str, str], ...] = ()
    results: dict[str, tuple[str, str]] = Field(default_factory=dict)
    store: str = ""
    store_run_id: str | None = None
    experiment_id: str | None = None
    complete: bool = False

    @classmethod
    def known(cls, root: Path, run_id: str) -> Self | None:
        """A run's record, None where there is none.

        Raises TrackingError for what cannot be a run's id, and for a record that is damaged: both
        may come from others.
        """
        file = record_file(root, run_id)
        if not (file.exists() or file.is_symlink()):
            return None
        fix = "remove that file; it is damaged"
        record = cls.read(file, fix=fix, error=TrackingError)
        if record.run_id != run_id:
            raise TrackingError(f"{file} must be of that run", got=record.run_id, fix=fix)
        return record

    @classmethod
    def find(cls, root: Path, run_id: str) -> Self | None:
        """The record of a run by its id here, or by its id in the store."""
        stored = (record for record in cls.every(root) if record.store_run_id == run_id)
        return cls.known(root, run_id) or next(stored, None)

    @classmethod
    def every(cls, root: Path) -> list[Self]:
        """Every run on record in the project, oldest first; damaged records are left out."""
        found = []
        for file in runs_folder(root).glob("*.json"):
            with contextlib.suppress(TrackingError):
                found.append(cls.known(root, file.stem))
        return sorted(filter(None, found), key=lambda record: record.started)

    @property
    def told(self) -> tuple[Any, ...]:
        """What it keeps of what the run was told."""
        return self.params, self.tags, self.datasets

    def changed(self, **values: Any) -> Self:
        """The record with other values."""
        return self.model_copy(update=values)

    def save(self, root: Path) -> None:
        """Write the record, whole or not at all."""
        self.write(record_file(root, self.run_id))


def runs_folder(root: Path) -> Path:
    """Where a project's runs are on record."""
    return Path(root) / ".seglock" / "runs"


def record_file(root: Path, run_id: str) -> Path:
    """A run's record, whether it exists or not; TrackingError for what cannot be a run's id."""
    if not is_run_id(run_id):
        raise TrackingError(
            "a run's id must be 32 hexadecimal digits, or local- and 16 or 32 of them",
            got=repr(run_id),
            fix="train the lock again, or restore the file that names the run",
        )
    return runs_folder(root) / f"{run_id}.json"


def hold(root: Path, run_id: str) -> filelock.BaseFileLock | None:
    """The lock of a run's living process, held; None where another process has it."""
    lock = filelock.FileLock(record_file(root, run_id).with_suffix(".lock"), timeout=0)
    try:
        lock.acquire()
    except filelock.Timeout:
        return None
    return lock


def result_name(path: Path, root: Path) -> str | None:
    """A result file's path in its project, below ``data``; None for what is no result.

    ``dvc exp run`` works in a copy of the project; what it made is applied to the project later.
    """
    for folder in (Path.cwd(), Path(root).absolute()):
        if path.is_relative_to(folder / "data"):
            return path.relative_to(folder).as_posix()
    return None
