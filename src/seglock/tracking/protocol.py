"""What the rest of seglock knows of tracking: the Tracker protocol."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Protocol, Self

Status = Literal["FINISHED", "FAILED", "KILLED"]


class Tracker(Protocol):
    """Records one run. No method raises because a server is away; used as a context manager it
    closes itself as FINISHED, FAILED (an exception) or KILLED (an interrupt)."""

    @property
    def run_id(self) -> str:
        """The run's id: the store's, or ``local-…`` for a run begun without its store."""
        ...

    def log_params(self, params: Mapping[str, Any]) -> None:
        """Record settings; nested mappings become dotted names (``train.lr``)."""
        ...

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Record figures of one step (an epoch, a key's number); all of a step in one call."""
        ...

    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Set tags, over older values of the same names."""
        ...

    def log_artifact(self, path: Path, folder: str = "") -> None:
        """Record a file, or a folder's files, under ``folder`` of the run's artifacts."""
        ...

    def log_dataset(self, name: str, digest: str, *, source: str = "", use: str = "") -> None:
        """Record an input dataset by its name and digest; ``use`` is for example training."""
        ...

    def close(self, status: Status = "FINISHED") -> None:
        """End the run. Later calls do nothing."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


def status_after(kind: type[BaseException] | None) -> Status:
    """The status of a run whose block was left by an exception of type ``kind``, or by none.

    >>> status_after(None), status_after(ValueError), status_after(KeyboardInterrupt)
    ('FINISHED', 'FAILED', 'KILLED')
    """
    if kind is None:
        return "FINISHED"
    return "FAILED" if issubclass(kind, Exception) else "KILLED"
