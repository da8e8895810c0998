"""The MLflow store: where it is, whether it answers, and calls that end in bounded time."""

from __future__ import annotations

import contextlib
import math
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import filelock

from seglock.address import artifact_folder, reason_unreachable, shown_uri, sqlite_file
from seglock.errors import SeglockError, TrackingError, in_short, is_homeless
from seglock.tracking.views import MARK, VERSION, view_tags

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

    from seglock.tracking.record import RunRecord

FIRST_CLIENT_WAIT = 120.0
QUICK = 0.5  # seconds
PARENT, PREVIOUS = "mlflow.parentRunId", "seglock.previous_run_id"
LOCAL = "local-"  # what the ids of runs begin with that were begun without their store
_REJECTED = frozenset({"INVALID_PARAMETER_VALUE", "BAD_REQUEST", "MALFORMED_REQUEST"})
UNKNOWN = frozenset({"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"})


class RejectedError(TrackingError):
    """The store answered, and does not take this value."""


class Store:
    """One MLflow store. Every method raises TrackingError, in bounded time, when it is away.

    ``timeout`` is in seconds, for one request; mlflow's own retries (7, over minutes) are off.
    ``shown`` is the address without credentials, ``lost`` why the last attempt failed, None if it
    did not. While ``required`` an attempt raises as well.
    """

    retry_seconds = 30.0  # how long a store that was away is left alone

    def __init__(self, uri: str, *, timeout: float, required: bool = False) -> None:
        self.uri, self.shown = uri, shown_uri(uri)
        self.timeout = timeout
        self.required = required
        self.lost: TrackingError | None = None
        self._quiet_until = 0.0
        self._client: MlflowClient | None = None

    def check(self, timeout: float | None = None) -> None:
        """Raise TrackingError unless something answers at the store's address."""
        if reason := reason_unreachable(self.uri, timeout or self.timeout):
            raise self._away(reason)

    def attempt(self, send: Callable[[], None], *, now: bool = False, last: bool = False) -> bool:
        """Whether ``send`` came through. It is not tried where the last attempt was just now, but
        for ``now``, or failed lately, but for ``last``. The user is told once an outage."""
        started = time.monotonic()
        if started < self._quiet_until and not last and (self.lost or not now):
            return False
        try:
            if self.lost:
                self.check(timeout=QUICK)
            try:
                send()
            except TrackingError:  # at once, as when an idle connection was dropped: once more
                if time.monotonic() - started > QUICK:
                    raise
                self.check(timeout=QUICK)
                send()
        except TrackingError as error:
            if self.required:
                raise
            self._quiet_until = time.monotonic() + self.retry_seconds
            self._quiet_until += 20 * (time.monotonic() - started)
            if self.lost is None:
                tell(f"the command goes on without its tracking store: {error.got}")
            self.lost = error
            return False
        if self.lost:
            self.lost = None
            tell("the tracking store answers again, and gets what it missed")
        self._quiet_until = time.monotonic() + min(1.0, 10 * (time.monotonic() - started))
        return True

    @contextlib.contextmanager
    def calls(self) -> Iterator[MlflowClient]:
        """The client, with bounded requests and with its errors turned into ours."""
        bounds = {
            "MLFLOW_HTTP_REQUEST_TIMEOUT": str(math.ceil(self.timeout)),
            "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
            "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
            "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
        }
        # What mlflow deprecates in itself is nothing to its users, even under -W error.
        with _environment(bounds), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                yield self._client or self._connect()
            except SeglockError:
                raise
            except Exception as error:  # whatever mlflow, SQLAlchemy or requests raise
                if is_homeless(error):
                    raise
                text = in_short(str(error))
                if getattr(error, "error_code", "") in _REJECTED:
                    raise self._rejected(text) from error
                raise self._away(text) from error

    def _connect(self) -> MlflowClient:
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")
        self.check()
        from mlflow import MlflowClient

        with _first_client(sqlite_file(self.uri)):
            client = MlflowClient(tracking_uri=self.uri)
            client.get_experiment_by_name("Default")
        self._client = client
        return client

    def _away(self, reason: str) -> TrackingError:
        return TrackingError(
            "the tracking store must answer",
            got=f"{self.shown}: {reason}",
            fix="start it, correct MLFLOW_TRACKING_URI, or set tracking.required: false "
            "to go on without it and tell it later, with `seglock track sync`",
        )

    def _rejected(self, reason: str) -> TrackingError:
        if self._client is not None:
            return RejectedError("MLflow must accept it", got=reason, fix="mend that value")
        return TrackingError(
            "MLflow must take the address of the tracking store",
            got=f"{self.shown}: {reason}",
            fix="do what it says, or unset MLFLOW_TRACKING_URI to keep runs in mlruns/mlflow.db",
        )

    def experiment(self, name: str) -> str:
        """The id of the experiment ``name``, made where it is missing, as are its saved views."""
        with self.calls() as client:
            found = client.get_experiment_by_name(name)
            if found is None:
                with contextlib.suppress(Exception):  # another process may have made it just now
                    folder = artifact_folder(self.uri)
                    client.create_experiment(name, folder.as_uri() if folder else None)
                found = client.get_experiment_by_name(name)
            if found is None or found.lifecycle_stage != "active":
                raise TrackingError(
                    "tracking.experiment must be usable in the store",
                    got=f"{name!r}, which is {'deleted' if found else 'missing'} in {self.shown}",
                    fix="restore it (`mlflow experiments restore`) or choose another name",
                )
            if found.tags.get(MARK) != VERSION:
                for tag, value in view_tags().items():
                    client.set_experiment_tag(found.experiment_id, tag, value)
            return str(found.experiment_id)

    def find(self, record: RunRecord) -> Run | None:
        """The run of a record, by its ids and by the tag of an earlier one, unless deleted."""
        here = record.store_run_id if record.store == self.shown else None
        with self.calls() as client:
            for run_id in (here, record.run_id):
                if run_id and not run_id.startswith(LOCAL):
                    try:
                        run = client.get_run(run_id)
                    except Exception as error:
                        if getattr(error, "error_code", "") not in UNKNOWN:
                            raise
                    else:
                        if run.info.lifecycle_stage == "active":
                            return run
            wanted = f"tags.`{PREVIOUS}` = '{record.run_id}'"
            found = client.search_runs([self.experiment(record.experiment)], wanted, max_results=1)
            return found[0] if found else None

    def create(self, record: RunRecord, tags: dict[str, str]) -> Run:
        """A new run."""
        with self.calls() as client:
            where = self.experiment(record.experiment)
            return client.create_run(where, record.started, tags, record.name)

    def set_status(self, run_id: str, status: str, time: int | None = None) -> None:
        """Show a run as running, or as ended at ``time``."""
        with self.calls() as client:
            if status == "RUNNING":
                client.update_run(run_id, status=status)
            else:
                client.set_terminated(run_id, status, time)

    def end_children(self, run_id: str) -> None:
        """End as KILLED the running children of a run, whichever process made them."""
        wanted = f"tags.`{PARENT}` = '{run_id}' and attributes.status = 'RUNNING'"
        with self.calls() as client:
            experiments = [found.experiment_id for found in client.search_experiments()]
            children = client.search_runs(experiments, filter_string=wanted)
        for child in children:
            self.set_status(str(child.info.run_id), "KILLED")


def _first_client(database: Path | None) -> contextlib.AbstractContextManager[object]:
    """Let one process at a time open a SQLite store: the first one migrates it, and two at once
    break each other's migration."""
    if database is None:
        return contextlib.nullcontext()
    database.parent.mkdir(parents=True, exist_ok=True)
    return filelock.FileLock(f"{database}.lock", timeout=FIRST_CLIENT_WAIT)


@contextlib.contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ[name] for name in values if name in os.environ}
    os.environ.update(values)
    try:
        yield
    finally:
        for name in values:
            del os.environ[name]
        os.environ.update(before)


def tell(message: str) -> None:
    """Warn the user on standard error."""
    from rich.console import Console

    with contextlib.suppress(Exception):  # a closed stderr must not stop training
        Console(file=sys.stderr, soft_wrap=True).print(
            f"warning: {message}", style="yellow", markup=False, highlight=False
        )
