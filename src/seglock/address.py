"""Where runs go: the one place that turns a path into an address, and an address into a path.

SQLAlchemy, and with it MLflow and Optuna, decodes the path of a SQLite address and takes a relative
one from the folder that a process happens to run in: a temporary one under ``dvc exp run``.
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
import socket
import sqlite3
import urllib.request
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

_PORTS = {"http": 80, "https": 443, "postgresql": 5432, "mysql": 3306, "mssql": 1433}
_NO_PATHS = ("databricks", "databricks-uc", "uc")


def project_root() -> Path:
    """The project's folder: DVC_ROOT inside ``dvc exp run``, the current folder otherwise."""
    return Path(os.environ.get("DVC_ROOT") or Path.cwd())


def tracking_uri(root: Path) -> str:
    """MLFLOW_TRACKING_URI, or the project's own ``sqlite:///<root>/mlruns/mlflow.db``."""
    return rooted(os.environ.get("MLFLOW_TRACKING_URI") or "sqlite:///mlruns/mlflow.db", root)


def rooted(uri: str, root: Path) -> str:
    """An address whose relative path, if it has one, is taken from ``root``.

    >>> rooted("sqlite:///runs/my%20runs.db?timeout=3", Path("/home/ann/50%"))
    'sqlite:////home/ann/50%25/runs/my runs.db?timeout=3'
    >>> rooted("./mlruns", Path("/home/ann")), rooted("file:mlruns", Path("/home/ann"))
    ('file:///home/ann/mlruns', 'file:///home/ann/mlruns')
    >>> rooted("https://mlflow.example.org", Path("/home/ann"))
    'https://mlflow.example.org'
    """
    root = Path(root).resolve()
    if file := sqlite_file(uri):
        _, mark, options = uri.partition("?")
        return sqlite_uri(root / file, uri.partition(":")[0]) + mark + options
    parts = urlsplit(uri)
    if not parts.scheme and uri and uri not in _NO_PATHS:
        return (root / uri).as_uri()
    if parts.scheme == "file" and not parts.netloc:
        return (root / unquote(parts.path)).as_uri()
    return uri


def sqlite_uri(file: str | Path, scheme: str = "sqlite") -> str:
    """The address of a SQLite file.

    >>> sqlite_uri("/home/ann/50% or more?/mlflow.db")
    'sqlite:////home/ann/50%25 or more%3F/mlflow.db'
    """
    # All else may stand there as it is, and runs are known by the address that they were sent to.
    return f"{scheme}:///{str(file).replace('%', '%25').replace('?', '%3F')}"


def shown_uri(uri: str) -> str:
    """A tracking address without its user name and password.

    >>> shown_uri("https://ann:secret@mlflow.example.org:8080/x")
    'https://mlflow.example.org:8080/x'
    """
    parts = urlsplit(uri)
    if "@" not in parts.netloc:
        return uri
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def sqlite_file(uri: str) -> Path | None:
    """The database file of a ``sqlite:///`` address, else None.

    >>> sqlite_file("sqlite:////tmp/a%20b.db?timeout=3").as_posix()
    '/tmp/a b.db'
    """
    path = _sqlite_path(uri)
    return Path(unquote(path)) if path and not path.startswith((":memory:", "file:")) else None


def is_in_memory(uri: str) -> bool:
    """Whether an address is SQLite's, of a database that no file holds."""
    path = _sqlite_path(uri)
    return path is not None and (not path or ":memory:" in path)


def _sqlite_path(uri: str) -> str | None:
    scheme, found, place = uri.partition("?")[0].partition("://")
    return place.removeprefix("/") if found and scheme.split("+")[0] == "sqlite" else None


def artifact_folder(uri: str) -> Path | None:
    """Where runs of a ``sqlite:///`` store keep their files: beside the database, else None."""
    file = sqlite_file(uri)
    return file.parent.resolve() / "artifacts" if file else None


def is_loopback(host: str) -> bool:
    """Whether a host, by its name or number, is this machine.

    >>> is_loopback("localhost"), is_loopback("127.0.0.1"), is_loopback("::1")
    (True, True, True)
    >>> is_loopback("0.0.0.0"), is_loopback("localhost.example.org"), is_loopback("")
    (False, False, False)
    """
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return host.lower() == "localhost"


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
