"""A tracker that keeps everything in memory: for tests, and for the ranks that do not report."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from seglock.tracking.protocol import Status, status_after


class MemoryTracker:
    """A Tracker without a store.

    >>> with MemoryTracker() as run:
    ...     run.log_params({"train": {"lr": 0.2}})
    ...     run.log_metrics({"val/loss": 0.5}, step=3)
    >>> run.params, run.metrics, run.status
    ({'train': {'lr': 0.2}}, [({'val/loss': 0.5}, 3)], 'FINISHED')
    """

    def __init__(self, run_id: str = "memory") -> None:
        self.run_id = run_id
        self.params: dict[str, Any] = {}
        self.metrics: list[tuple[dict[str, float], int | None]] = []
        self.tags: dict[str, str] = {}
        self.artifacts: list[tuple[Path, str]] = []
        self.datasets: list[dict[str, str]] = []
        self.status: Status | None = None

    def log_params(self, params: Mapping[str, Any]) -> None:
        """Keep ``params``."""
        self.params.update(params)

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Keep ``metrics`` and their step."""
        self.metrics.append((dict(metrics), step))

    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Keep ``tags``."""
        self.tags.update(tags)

    def log_artifact(self, path: Path, folder: str = "") -> None:
        """Keep the path, not the file."""
        self.artifacts.append((Path(path), folder))

    def log_dataset(self, name: str, digest: str, *, source: str = "", use: str = "") -> None:
        """Keep the description."""
        self.datasets.append({"name": name, "digest": digest, "source": source, "use": use})

    def close(self, status: Status = "FINISHED") -> None:
        """Keep the first status."""
        self.status = self.status or status

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close(status_after(kind))
