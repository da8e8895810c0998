"""Results on their way: written before the study is told of them, and removed once it was."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seglock.errors import StorageError
from seglock.files import write_bytes, write_text
from seglock.foreign import read_plain
from seglock.search.job import TrialResult

_RESERVE = 256 << 10  # bytes: several results


@dataclass(frozen=True)
class Kept:
    """A result that its study may not know yet. ``stopped`` as TrialRecord has it."""

    job: str
    result: TrialResult
    stopped: dict[str, Any] | None
    run_id: str | None


class Results:
    """The folder of one study's results on their way.

    ``study``: the study's own random id, so that a result is never told to a later study of the
    same name. A reserve file is given up when the disk is full: what was measured still fits.
    """

    def __init__(self, folder: Path, study: str) -> None:
        self.folder = folder
        self.study = study
        self._reserve = folder / ".reserve"

    def prepare(self) -> None:
        """Make the folder, clear what a killed writer left, and set the reserve aside."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for half in self.folder.glob(".*.tmp"):
            half.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            if not self._reserve.exists() or self._reserve.stat().st_size != _RESERVE:
                write_bytes(self._reserve, os.urandom(_RESERVE))

    def save(self, kept: Kept) -> None:
        """Write a result, whole or not at all. Raises StorageError when not even the reserve
        has room."""
        text = json.dumps(
            {
                "study": self.study,
                "run_id": kept.run_id,
                "stopped": kept.stopped,
                "result": kept.result.to_json(),
            }
        )
        try:
            write_text(self._file(kept.job), text)
        except StorageError:
            self._reserve.unlink(missing_ok=True)
            write_text(self._file(kept.job), text)

    def drop(self, job: str) -> None:
        """The study was told."""
        self._file(job).unlink(missing_ok=True)

    def load(self) -> dict[str, Kept]:
        """All results of this study that are there; what cannot be read is left out."""
        return {kept.job: kept for kept in self._read()}

    def _read(self) -> Iterator[Kept]:
        for file in sorted(self.folder.glob("*.json")):
            with contextlib.suppress(OSError, ValueError, KeyError, TypeError, RecursionError):
                values = json.loads(read_plain(file))
                if values["study"] == self.study:
                    result = TrialResult.from_json(values["result"])
                    yield Kept(file.stem, result, values["stopped"], values["run_id"])

    def _file(self, job: str) -> Path:
        return self.folder / f"{job}.json"
