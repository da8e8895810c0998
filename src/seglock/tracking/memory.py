"""What the rest of seglock knows of tracking: a run, and what it is told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Self

NOTE = "mlflow.note.content"
"""The tag that MLflow shows as a run's description, in Markdown."""
Status = Literal["FINISHED", "FAILED", "KILLED"]


def picture_cell(artifact: str) -> dict[str, str]:
    """A picture in a table, by its place among the run's artifacts."""
    return {"type": "image", "filepath": artifact, "compressed_filepath": artifact}


class MemoryTracker:
    """Keeps what one run is told, in memory; used where no store is asked for.

    No method raises because a server is away. As a context manager it closes itself as FINISHED,
    FAILED (an exception) or KILLED (an interrupt). ``run_id`` is the store's id of the run, or
    ``local-…`` for one begun without its store; ``whole``: the store has what earlier processes
    told it. ``lasted``: the seconds that the run shall show as its duration; None: as it was.

    >>> with MemoryTracker() as run:
    ...     run.log_params({"train": {"lr": 0.2}})
    ...     run.log_metrics({"val/loss": 0.5}, step=3)
    >>> run.params, run.metrics, run.status
    ({'train': {'lr': 0.2}}, [({'val/loss': 0.5}, 3)], 'FINISHED')
    """

    def __init__(self, run_id: str = "memory") -> None:
        self.run_id = run_id
        self.whole = True
        self.params: dict[str, Any] = {}
        self.metrics: list[tuple[dict[str, float], int | None]] = []
        self.tags: dict[str, str] = {}
        self.artifacts: list[tuple[Path, str]] = []
        self.tables: dict[str, list[dict[str, Any]]] = {}
        self.lasted: float | None = None
        self.datasets: list[dict[str, str]] = []
        self.status: Status | None = None

    def log_params(self, params: Mapping[str, Any]) -> None:
        """Record settings; nested mappings become dotted names (``train.lr``)."""
        self.params.update(params)

    def log_metrics(
        self, metrics: Mapping[str, float], step: int | None = None, *, again: bool = False
    ) -> None:
        """Record figures of one step (an epoch, a key's number), all of a step in one call.

        ``again``: the run's store may have them already; then only what it lacks is sent.
        """
        del again
        self.metrics.append((dict(metrics), step))

    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Set tags, over older values of the same names."""
        self.tags.update(tags)

    def log_artifact(self, path: Path, folder: str = "") -> None:
        """Record a file, or a folder's files, under ``folder`` of the run's artifacts."""
        self.artifacts.append((Path(path), folder))

    def log_table(self, name: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Record rows as the table ``name``, over an older one; a field that is a
        picture is the `picture_cell` of an artifact."""
        self.tables[name] = [dict(row) for row in rows]

    def log_dataset(self, name: str, digest: str, *, source: str = "", use: str = "") -> None:
        """Record an input dataset by its name and digest; ``use`` is for example training."""
        dataset = {"name": name, "digest": digest, "source": source, "use": use}
        if dataset not in self.datasets:
            self.datasets.append(dataset)

    def close(self, status: Status = "FINISHED") -> None:
        """End the run. Later calls change nothing in its store."""
        self.status = self.status or status

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.close("FINISHED")
        else:
            self.close("FAILED" if issubclass(kind, Exception) else "KILLED")
