"""The MLflow store: where it is, whether it answers, and calls that end in bounded time."""

from __future__ import annotations

import contextlib
import math
import os
import socket
import sqlite3
import urllib.request
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import filelock

from seglock.errors import TrackingError, in_short, is_homeless
from seglock.tracking.address import artifact_folder, is_in_memory, shown_uri, sqlite_file

if TYPE_CHECKING:
    from mlflow import MlflowClient

FIRST_CLIENT_WAIT = 120.0
_PORTS = {"http": 80, "https": 443, "postgresql": 5432, "mysql": 3306, "mssql": 1433}
_REJECTED = frozenset({"INVALID_PARAMETER_VALUE", "BAD_REQUEST", "MALFORMED_REQUEST"})
_UNKNOWN = frozenset({"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"})


class RejectedError(TrackingError):
    """The store answered, and does not take this value."""


def reason_unreachable(uri: str, timeout: float) -> str | None:
    """Why nothing answers at ``uri`` (one connection attempt, without importing mlflow), or None.

    A store this cannot judge, such as one behind a proxy, counts as reachable.
    """
    if file := sqlite_file(uri):
        return _reason_sqlite(file)
    if is_in_memory(uri):
        return "a database in memory is gone with the command"
    parts = urlsplit(uri)
    scheme = parts.scheme.split("+")[0]
    try:
        host, port = parts.hostname, parts.port or _PORTS.get(scheme)
    except ValueError as error:
        return str(error)
    if host is None or port is None:
        return None
    if scheme in urllib.request.getproxies() and not urllib.request.proxy_bypass(host):
        return None
    try:
        socket.create_connection((host, port), timeout=timeout).close()
    except OSError as error:
        return (error.strerror or str(error) or type(error).__name__).lower()
    return None


def _reason_sqlite(file: Path) -> str | None:
    place = next(path for path in (file, *file.absolute().parents) if path.exists())
    if not os.access(place, os.W_OK):
        return f"{place} is not writable"
    if not file.exists():
        return None
    try:
        with contextlib.closing(sqlite3.connect(file, timeout=1)) as database:
            database.execute("PRAGMA schema_version")
    except sqlite3.Error as error:
        return f"{file}: {error}"
    return None


class Store:
    """One MLflow store. Every method raises TrackingError, in bounded time, when it is away.

    ``timeout`` is in seconds, for one request; mlflow's own retries (7, over minutes) are off.
    """

    def __init__(self, uri: str, *, timeout: float) -> None:
        self.uri = uri
        self.timeout = timeout
        self._client: MlflowClient | None = None

    @property
    def shown(self) -> str:
        """The address without credentials."""
        return shown_uri(self.uri)

    def check(self, timeout: float | None = None) -> None:
        """Raise TrackingError unless something answers at the store's address."""
        if reason := reason_unreachable(self.uri, timeout or self.timeout):
            raise self._away(reason)

    @contextlib.contextmanager
    def calls(self) -> Iterator[MlflowClient]:
        """The client, with bounded requests and with its errors turned into ours."""
        bounds = {
            "MLFLOW_HTTP_REQUEST_TIMEOUT": str(math.ceil(self.timeout)),
            "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
            "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
        }
        # What mlflow deprecates in itself is nothing to its users, even under -W error.
        with _environment(bounds), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                yield self._client or self._connect()
            except TrackingError:
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
            "to keep local files only and send them later with `seglock track sync`",
        )

    def _rejected(self, reason: str) -> TrackingError:
        if self._client is not None:
            fix = "mend that value"
            return RejectedError("MLflow must accept the value", got=reason, fix=fix)
        return TrackingError(
            "MLflow must take the address of the tracking store",
            got=f"{self.shown}: {reason}",
            fix="do what it says, or unset MLFLOW_TRACKING_URI to keep runs in mlruns/mlflow.db",
        )

    def experiment(self, name: str) -> str:
        """The id of the experiment ``name``, made where it is missing."""
        with self.calls() as client:
            found = client.get_experiment_by_name(name)
            if found is None:
                with contextlib.suppress(Exception):  # another process may have made it just now
                    client.create_experiment(name, artifact_location=self._artifacts())
                found = client.get_experiment_by_name(name)
            if found is None or found.lifecycle_stage != "active":
                raise TrackingError(
                    "tracking.experiment must be usable in the store",
                    got=f"{name!r}, which is {'deleted' if found else 'missing'} in {self.shown}",
                    fix="restore it (`mlflow experiments restore`) or choose another name",
                )
            return str(found.experiment_id)

    def _artifacts(self) -> str | None:
        folder = artifact_folder(self.uri)
        return folder.as_uri() if folder else None

    def params_of(self, run_id: str) -> dict[str, str] | None:
        """The params of a run the store knows and has not deleted, else None."""
        with self.calls() as client:
            try:
                run = client.get_run(run_id)
            except Exception as error:
                if getattr(error, "error_code", "") in _UNKNOWN:
                    return None
                raise
        return dict(run.data.params) if run.info.lifecycle_stage == "active" else None

    def find_tagged(self, experiment_id: str, tag: str, value: str) -> str | None:
        """The newest run with a tag of that value."""
        with self.calls() as client:
            runs = client.search_runs(
                [experiment_id], filter_string=f"tags.`{tag}` = '{value}'", max_results=1
            )
            return str(runs[0].info.run_id) if runs else None

    def create_run(self, experiment_id: str, name: str, tags: dict[str, str], started: int) -> str:
        """A new run; ``started`` in milliseconds since 1970."""
        with self.calls() as client:
            run: Any = client.create_run(
                experiment_id, start_time=started, tags=tags, run_name=name
            )
            return str(run.info.run_id)


@contextlib.contextmanager
def _first_client(database: Path | None) -> Iterator[None]:
    """Let one process at a time open a SQLite store: the first one migrates it, and two at once
    break each other's migration."""
    if database is None:
        yield
        return
    database.parent.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(f"{database}.lock", timeout=FIRST_CLIENT_WAIT):
        yield


@contextlib.contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
