"""A run that its store is told of while that answers, and from memory when it is back.

What the store lacks at the end is told later, from the run's result files.
"""

from __future__ import annotations

import atexit
import json
import secrets
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seglock.address import tracking_uri
from seglock.files import sha256_file
from seglock.machine import git_commit
from seglock.tracking import send
from seglock.tracking.limits import finite, flatten, table_text
from seglock.tracking.memory import MemoryTracker, Status
from seglock.tracking.record import RunRecord, hold, now, result_name
from seglock.tracking.store import LOCAL, PARENT, PREVIOUS, Store, tell
from seglock.tracking.system import SystemMonitor, made_by

if TYPE_CHECKING:
    import filelock

    from seglock.config import TrackingParams


TABLES = "mlflow.loggedArtifacts"  # by which MLflow's UI knows which artifacts are tables


def open_run(
    params: TrackingParams,
    *,
    name: str,
    tags: Mapping[str, str],
    root: Path,
    run_id: str | None = None,
    system: bool = False,
) -> RunTracker:
    """Begin a run called ``name``, or take up run ``run_id`` of an earlier process.

    Runs that killed processes left are ended first. A ``run_id`` the store does not know becomes a
    new run tagged ``seglock.previous_run_id``, and the same one the next time. ``system``: beside
    the figures of each step the run is told what the machine is at.

    Raises TrackingError for what is no run's id, and within ``params.timeout_seconds`` or little
    more when the store is away, unless ``params.required`` is false: the run is then told later.
    """
    store = Store(tracking_uri(root), timeout=params.timeout_seconds, required=params.required)
    store.attempt(lambda: end_killed(root, store))
    record = None if run_id is None else RunRecord.find(root, run_id)
    if record is None:
        commit = git_commit(root)
        tags = {**tags, **({"mlflow.source.git.commit": commit} if commit else {})}
        record = RunRecord(
            run_id=run_id or "", name=name, experiment=params.experiment, started=now(),
            complete=run_id is None,
        )  # fmt: skip
    tracker = RunTracker(record, store, root, tags)
    store.attempt(tracker.resolve, now=True)
    store.required = False
    tracker.begin()
    if system:
        tracker.system = SystemMonitor()
    return tracker


def end_killed(root: Path, store: Store) -> None:
    """End as KILLED the runs of this store whose process is gone without an end, and the running
    children of these. What cannot be ended now is tried by the next command."""
    store.check()
    for record in RunRecord.every(root):
        elsewhere = record.store_run_id is not None and record.store != store.shown
        if record.status != "RUNNING" or elsewhere or (lock := hold(root, record.run_id)) is None:
            continue
        try:
            left = RunRecord.known(root, record.run_id)  # its process may have ended it just now
            if left is not None and left.status == "RUNNING":
                if run := store.find(left):
                    store.end_children(run.info.run_id)
                    store.set_status(run.info.run_id, "KILLED")
                told = run is not None and not left.results
                left.changed(status="KILLED", ended=now(), complete=told).save(root)
        finally:
            lock.release()


class RunTracker(MemoryTracker):
    """The tracker of real runs, made by `open_run`, and by `child` of another one.

    It keeps what the run was told, and sends it as soon as its store answers. Figures and files are
    forgotten when the store has them, and the status is sent last: a run that ended there is whole.
    """

    def __init__(
        self,
        record: RunRecord,
        store: Store,
        root: Path,
        tags: Mapping[str, str],
        parent: RunTracker | None = None,
    ) -> None:
        super().__init__(record.run_id)
        self.record, self.whole = record, record.complete
        self.params, self.datasets = dict(record.params), list(record.datasets)
        self.tags = {**made_by(), **record.tags, "mlflow.source.name": "seglock", **tags}
        self.system: SystemMonitor | None = None
        self._store, self._root, self._parent = store, root, parent
        self.stored_id = ""
        self._stored_params: dict[str, str] = {}
        self._stored_status = "RUNNING"
        self._sent = record.told if self.whole else None
        self._saved: RunRecord | None = None
        self._figures: list[send.Figure] = []
        self._lacks = True
        self._late: list[RunTracker] = []
        self._lock: filelock.BaseFileLock | None = None

    def resolve(self) -> None:
        """Find the run in the store, or make it; TrackingError when that is away."""
        if self.stored_id:
            return
        if self._parent is not None:
            self._parent.resolve()
            self.tags[PARENT] = self._parent.stored_id
        record, run = self.record, None
        if record.run_id:
            run = self._store.find(record)
            self.tags |= {} if run else {PREVIOUS: record.run_id}
        run = run or self._store.create(record, self.tags)
        self.stored_id, self._stored_status = run.info.run_id, run.info.status
        self._stored_params = dict(run.data.params)
        if record.store_run_id not in (None, self.stored_id):  # another store was told before
            self.whole, self._sent = False, None
        self.record = record.changed(
            store=self._store.shown,
            store_run_id=self.stored_id,
            experiment_id=run.info.experiment_id,
            started=run.info.start_time,
        )

    def begin(self) -> None:
        """Show the run as running; its id is the store's from here on, unless that is away."""
        self.run_id = self.stored_id or self.run_id or f"{LOCAL}{secrets.token_hex(8)}"
        run_id = self.record.run_id or self.run_id
        if self._parent is None:
            self._lock = hold(self._root, run_id)
        self.record = self.record.changed(
            run_id=run_id, status="RUNNING", ended=None, complete=False
        )
        atexit.register(self.close, "FAILED")
        self._told(now=True)

    def child(self, name: str, tags: Mapping[str, str], run_id: str | None = None) -> RunTracker:
        """Begin a run below this one, or take up ``run_id``; never an error where a store is away.

        It has no record of its own: this run's result files tell it again. One that its own process
        ended in the store is whole there, and closed at once.
        """
        record = RunRecord(
            run_id=run_id or "", name=name, experiment=self.record.experiment, started=now(),
            complete=run_id is None,
        )  # fmt: skip
        tags = {PARENT: self.run_id, **tags}
        tracker = RunTracker(record, self._store, self._root, tags, self)
        self._store.attempt(tracker.resolve, now=True)
        if run_id and tracker._stored_status in ("FINISHED", "FAILED"):
            tracker.run_id, tracker.status = tracker.stored_id, "FINISHED"
        else:
            tracker.begin()
        return tracker

    def end_children(self) -> None:
        """End as KILLED the children that another process left running."""
        self._store.attempt(lambda: self._store.end_children(self.stored_id), now=True)

    def log_params(self, params: Mapping[str, Any]) -> None:
        super().log_params(flatten(params))
        self._told()

    def log_metrics(
        self, metrics: Mapping[str, float], step: int | None = None, *, again: bool = False
    ) -> None:
        if self.system and step is not None:
            metrics = {**metrics, **self.system.sample()}
        self._figures += [
            send.Figure(name, finite(value), now(), step or 0, again)
            for name, value in metrics.items()
        ]
        self._told()

    def set_tags(self, tags: Mapping[str, str]) -> None:
        super().set_tags({name: str(value) for name, value in tags.items()})
        self._told()

    def log_dataset(self, name: str, digest: str, *, source: str = "", use: str = "") -> None:
        super().log_dataset(name, digest, source=source, use=use)
        self._told()

    def log_table(self, name: str, rows: Sequence[Mapping[str, Any]]) -> None:
        super().log_table(name, rows)
        file = f"{name}.json"
        with tempfile.TemporaryDirectory(prefix="seglock-table-") as folder:
            (Path(folder) / file).write_text(table_text(rows), encoding="utf-8")
            self.log_artifact(Path(folder) / file)
        listed = json.loads(self.tags.get(TABLES, "[]"))
        table = {"path": file, "type": "table"}
        self.set_tags({TABLES: json.dumps([*(one for one in listed if one != table), table])})

    def log_artifact(self, path: Path, folder: str = "") -> None:
        path = Path(path).absolute()
        if path.is_dir():
            for child in sorted(path.iterdir()):
                self.log_artifact(child, f"{folder}/{path.name}".strip("/"))
            return
        super().log_artifact(path, folder)
        result = result_name(path, self._root)
        if result is not None:
            about = (folder, sha256_file(path))
            self.record = self.record.changed(results=self.record.results | {result: about})
        self._told(now=True)
        if result is None and self.artifacts:  # it may be gone when the store is back
            self.artifacts.pop()
            self.whole = False

    def close(self, status: Status = "FINISHED", *, ended: int | None = None) -> None:
        if self.status is not None:
            return
        atexit.unregister(self.close)
        if self.lasted is not None:
            ended = self.record.started + round(1000 * self.lasted)
        self.record = self.record.changed(status=status, ended=ended or now())
        try:
            self._told(now=True, last=self._parent is None)
            super().close(status)
            if self._parent is not None:
                self._parent._late += [self] if self._lacks else []
                return
            complete = self.whole and not (self._lacks or self._late)
            self.record = self.record.changed(complete=complete)
            self.record.save(self._root)
            if not complete:
                tell(
                    f"the tracking store lacks something of run {self.run_id}; when it answers, "
                    f"`seglock track sync {self.run_id}` tells it the rest"
                )
        finally:
            if self._lock is not None:
                self._lock.release()

    def _told(self, *, now: bool = False, last: bool = False) -> None:
        """Keep what was told, and send it unless the store is left alone."""
        if self.status is not None:
            return
        self._lacks = True
        self._keep()
        if self._store.attempt(self._send, now=now, last=last):
            self._keep()

    def _keep(self) -> None:
        """Note what was told in the record, on disk too where it is new."""
        record = self.record.changed(
            params=dict(self.params), tags=dict(self.tags), datasets=tuple(self.datasets)
        )
        if self._parent is None and record != self._saved:
            record.save(self._root)
        self.record = self._saved = record

    def _send(self) -> None:
        self.resolve()
        store, run_id = self._store, self.stored_id
        refused = send.figures(store, run_id, self._figures)
        self._figures.clear()
        record = self.record
        if record.told != self._sent:
            refused += send.params(store, run_id, record.params, self._stored_params)
            refused += send.tags(store, run_id, record.tags)
            for dataset in record.datasets:
                refused += send.dataset(store, run_id, dataset)
            self._sent = record.told
        while self.artifacts:
            path, folder = self.artifacts[0]
            self.whole &= path.is_file()
            if path.is_file():
                with store.calls() as client:
                    client.log_artifact(run_id, str(path), folder or None)
            del self.artifacts[0]
        if record.status != self._stored_status:
            store.set_status(run_id, record.status, record.ended)
            self._stored_status = record.status
        while self._late:
            self._late[0]._send()
            del self._late[0]
        self._lacks = False
        for one in refused:
            tell(f"the tracking store refused {one}")
