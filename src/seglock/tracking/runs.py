"""A run that is written to its journal first and to the MLflow store as long as that answers."""

from __future__ import annotations

import atexit
import contextlib
import secrets
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from seglock.errors import TrackingError
from seglock.files import sha256_file
from seglock.tracking.address import tracking_uri
from seglock.tracking.delivery import LOCAL_PREFIX, Delivery, resolve_run, send_quietly
from seglock.tracking.environment import git_commit
from seglock.tracking.journal import Journal, RunHeader
from seglock.tracking.limits import flatten, number_to_json
from seglock.tracking.protocol import Status, status_after
from seglock.tracking.store import Store

if TYPE_CHECKING:
    from seglock.config import TrackingParams

QUICK = 0.5  # seconds


def open_run(
    params: TrackingParams,
    *,
    name: str,
    tags: Mapping[str, str],
    root: Path,
    run_id: str | None = None,
    quiet: bool = False,
) -> JournalTracker:
    """Begin a run called ``name``, or take up run ``run_id`` of an earlier process.

    A ``run_id`` the store does not know becomes a new run tagged ``seglock.previous_run_id``.
    Raises TrackingError for what is no run's id, and within ``params.timeout_seconds`` or little
    more when the store is away, unless ``params.required`` is false: the run is then kept in its
    journal only, and the user is told of it unless ``quiet``, as for the many runs of a study
    whose own run tells of it.
    """
    root = Path(root)
    earlier = None if run_id is None else Journal.at(root, run_id)
    commit = git_commit(root)
    described = {"mlflow.source.name": "seglock", **tags}
    if commit:
        described["mlflow.source.git.commit"] = commit
    header = RunHeader(name, params.experiment, described, time.time_ns() // 1_000_000)
    store = Store(tracking_uri(root), timeout=params.timeout_seconds)
    try:
        store.check()
        found, known = resolve_run(store, header, run_id)
    except TrackingError as error:
        if params.required:
            raise
        local = run_id or f"{LOCAL_PREFIX}{secrets.token_hex(8)}"
        tracker = JournalTracker(Journal.create(root, local, header), store, quiet=quiet)
        tracker.lose_store(error)
    else:
        if earlier is not None and run_id != found and earlier.exists():
            send_quietly(earlier, store)
        tracker = JournalTracker(Journal.create(root, found, header), store, quiet=quiet)
        tracker.delivery.adopt(found, known)
    tracker.begin(tags if run_id is not None else {})
    return tracker


class JournalTracker:
    """The Tracker of real runs. Made by `open_run`."""

    retry_seconds = 30.0  # how long a store that was away is left alone

    def __init__(self, journal: Journal, store: Store, *, quiet: bool = False) -> None:
        self.journal = journal
        self._tell = _say_nothing if quiet else tell
        self.delivery = Delivery(journal, store)
        self.lost = False
        self._told_refused = 0
        self._quiet_until = 0.0
        self._open = True
        journal.hold()
        atexit.register(self.close, "FAILED")

    @property
    def run_id(self) -> str:
        """The run's id: the store's, or ``local-…`` for a run begun without its store."""
        return self.journal.run_id

    def begin(self, tags: Mapping[str, str]) -> None:
        """Show the run as running, with the tags of the process that took it up."""
        self._record("status", status="RUNNING")
        if tags:
            self.set_tags(tags)

    def log_params(self, params: Mapping[str, Any]) -> None:
        """Record settings; nested mappings become dotted names (``train.lr``)."""
        self._record("params", params=flatten(params))

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Record figures of one step; NaN and infinities are kept as such in the journal."""
        values = {name: number_to_json(value) for name, value in metrics.items()}
        self._record("metrics", metrics=values, step=step or 0)

    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Set tags, over older values of the same names."""
        self._record("tags", tags={name: str(value) for name, value in tags.items()})

    def log_dataset(self, name: str, digest: str, *, source: str = "", use: str = "") -> None:
        """Record an input dataset by its name and digest."""
        self._record("dataset", name=name, digest=digest, source=source, use=use)

    def log_artifact(self, path: Path, folder: str = "") -> None:
        """Record a file, or a folder's files; a copy is kept until the store has it."""
        path = Path(path).resolve()
        if path.is_dir():
            for child in sorted(path.iterdir()):
                self.log_artifact(child, f"{folder}/{path.name}".strip("/"))
            return
        file = f"{folder}/{path.name}".strip("/")
        self._record("artifact", file=file, source=str(path), sha256=sha256_file(path), now=True)
        if self.lost or self.journal.pending():
            self.journal.keep_artifacts()

    def close(self, status: Status = "FINISHED") -> None:
        """End the run, and try once more to send what the store lacks."""
        if not self._open:
            return
        self._open = False
        atexit.unregister(self.close)
        self.journal.append("status", status=status)
        self._deliver(now=True)
        if self.lost:
            self.journal.keep_artifacts()
            self._tell(
                f"{self.journal.pending()} entries of run {self.run_id} are in "
                f"{self.journal.folder} only; send them later with "
                f"`seglock track sync {self.run_id}`"
            )
        self.journal.let_go()

    def _record(self, kind: str, *, now: bool = False, **fields: Any) -> None:
        if not self._open:
            return
        self.journal.append(kind, **fields)
        self._deliver(now=now and not self.lost)

    def _deliver(self, *, now: bool) -> None:
        """Send what is pending, unless the last attempt was just now or failed lately."""
        started = time.monotonic()
        if started < self._quiet_until and not now:
            return
        try:
            if self.lost:
                self.delivery.store.check(timeout=QUICK)
            self._send(started)
        except TrackingError as error:
            self.lose_store(error, time.monotonic() - started)
            return
        if self.lost:
            self.lost = False
            self._tell(f"the tracking store answers again; run {self.run_id} is complete there")
        self._quiet_until = time.monotonic() + min(1.0, 10 * (time.monotonic() - started))
        for refused in self.delivery.refused[self._told_refused :]:
            self._tell(f"the tracking store refused {refused}; it stays in {self.journal.file}")
        self._told_refused = len(self.delivery.refused)

    def _send(self, started: float) -> None:
        """Send; once more if that failed at once, as when an idle connection was dropped."""
        try:
            self.delivery.send()
        except TrackingError:
            if time.monotonic() - started > QUICK:
                raise
            self.delivery.store.check(timeout=QUICK)
            self.delivery.send()

    def lose_store(self, error: TrackingError, spent: float = 0.0) -> None:
        """Go on with the journal alone; the user is told once an outage."""
        self._quiet_until = time.monotonic() + max(self.retry_seconds, 20 * spent)
        if not self.lost:
            self.lost = True
            self._tell(f"tracking goes on in {self.journal.folder} only: {error.got}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close(status_after(kind))


def tell(message: str) -> None:
    """Warn the user on standard error."""
    from rich.console import Console

    with contextlib.suppress(Exception):  # a closed stderr must not stop training
        Console(file=sys.stderr, soft_wrap=True).print(
            f"warning: {message}", style="yellow", markup=False, highlight=False
        )


def _say_nothing(message: str) -> None:
    """In place of ``tell`` where another run tells it."""
