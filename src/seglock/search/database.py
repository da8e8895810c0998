"""A study's database: its URL, its driver, and a connection that notices when it is gone."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import socket
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from seglock.address import project_root, rooted
from seglock.config.search_rules import hide_password
from seglock.errors import ConfigError, SeglockError
from seglock.variables import expand, showing

if TYPE_CHECKING:
    from optuna.storages import BaseStorage
    from sqlalchemy import URL, Connection

Storage = TypeVar("Storage", bound="BaseStorage | None")
SQLITE = "sqlite"
_IN_MEMORY = [(SQLITE, name) for name in (None, "", ":memory:")]
CONNECT_TIMEOUT = 5  # seconds
DRIVERS = {"postgresql": ("psycopg2", "psycopg"), "postgres": ("psycopg2", "psycopg")}
# In the server, as `_engine_options` has it here: the lock of a machine that is off is freed.
_NOTICE_THE_DEAD = (
    "-c tcp_keepalives_idle=10 -c tcp_keepalives_interval=5 -c tcp_keepalives_count=3"
)
_TAKE = "SELECT pg_try_advisory_lock(:key)"  # true as well where this connection has it
_HOLDER = """
    SELECT application_name FROM pg_locks JOIN pg_stat_activity USING (pid)
    WHERE locktype = 'advisory' AND granted AND objsubid = 1 AND classid = :high AND objid = :low
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


def expand_url(url: str) -> str:
    """Put the environment's values in place of ``$VARIABLES``; see `expand`.

    A user name or password is quoted, so that it may hold any character; a URL that is one
    variable as a whole is taken as it is.

    >>> import os
    >>> os.environ["STUDY_PASSWORD"] = "p@ss/word"
    >>> expand_url("postgresql://ann:$STUDY_PASSWORD@db/studies")
    'postgresql://ann:p%40ss%2Fword@db/studies'
    >>> del os.environ["STUDY_PASSWORD"]
    """
    user, at, place = url.rpartition("@")
    setting = "search.storage"
    return expand(user, setting, quoted=True) + at + expand(place, setting)


def open_database(url: str) -> BaseStorage:
    """Connect, and make Optuna's tables where they are missing; ConfigError for a URL that cannot
    be used."""
    return _storage(*_usable(url))


def open_file(file: Path) -> BaseStorage:
    """A SQLite file of ours; it and its tables are made where they are missing."""
    from sqlalchemy import URL

    return _storage(URL.create(SQLITE, database=str(file.resolve())), _engine_options(SQLITE))


def sqlite_database(url: str) -> Path | None:
    """The file that a URL of SQLite names; None for a server's."""
    address, _ = _usable(url)
    return Path(address.database or "") if address.get_backend_name() == SQLITE else None


def read_database(url: str) -> BaseStorage | None:
    """What Optuna keeps there; None where it never was. Asking makes nothing."""
    from sqlalchemy import create_engine, inspect

    if (file := sqlite_database(url)) is not None:
        return read_file(file)
    address, options = _usable(url)
    engine = create_engine(address, **options)
    try:
        return _storage(address, options) if inspect(engine).has_table("studies") else None
    finally:
        engine.dispose()


def read_file(file: Path) -> BaseStorage | None:
    """A SQLite file as it is now, in memory; None where there is none. The file stays as it is,
    also where a killed writer left something to undo."""
    from sqlalchemy import StaticPool, make_url

    if not file.is_file():
        return None
    memory = sqlite3.connect(":memory:", check_same_thread=False)
    try:
        _copy(f"{file.resolve().as_uri()}?mode=ro", memory)
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_READONLY_ROLLBACK:
            raise
        if not _copy_undone(file, memory):
            return read_file(file)
    return _storage(make_url("sqlite://"), {"creator": lambda: memory, "poolclass": StaticPool})


def _copy(uri: str, memory: sqlite3.Connection) -> None:
    with contextlib.closing(sqlite3.connect(uri, uri=True)) as disk:
        disk.backup(memory)


def _copy_undone(file: Path, memory: sqlite3.Connection) -> bool:
    """Copy a file that has an undo log, by way of copies of both; False where that was gone.

    Who opens it to write undoes first, and removes the log: while that stays, nobody has written.
    """
    log = file.with_name(f"{file.name}-journal")
    with tempfile.TemporaryDirectory() as folder, contextlib.suppress(FileNotFoundError):
        before = log.stat()
        copied = shutil.copyfile(file, Path(folder) / file.name)
        shutil.copyfile(log, copied.with_name(log.name))
        if (log.stat().st_ino, log.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns):
            _copy(copied.as_uri(), memory)
            return True
    return False


@contextlib.contextmanager
def closing(storage: Storage) -> Iterator[Storage]:
    """Close a storage's connections at the end, where it has any."""
    try:
        yield storage
    finally:
        engine = getattr(getattr(storage, "_backend", None), "engine", None)
        if engine is not None:
            engine.dispose()


def _storage(address: URL, options: dict[str, Any]) -> BaseStorage:
    import logging

    from optuna.storages import RDBStorage, get_storage

    logging.getLogger("alembic").setLevel(logging.WARNING)
    # Optuna formats the URL as a template, and would take a password's braces for names.
    template = address.render_as_string(hide_password=False).replace("{", "{{").replace("}", "}}")
    try:
        return get_storage(RDBStorage(template, engine_kwargs=options))
    except RuntimeError as error:  # tables of another Optuna; it says what to do
        raise ConfigError(
            "search.storage must be a database of this version of Optuna's",
            got=" ".join(str(error).split()),
        ) from error


def _usable(url: str) -> tuple[URL, dict[str, Any]]:
    """The URL as SQLAlchemy has it, with its options; what cannot be used is a ConfigError.

    Only of SQLite and PostgreSQL is it known how one coordinator keeps the others out.
    """
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError, NoSuchModuleError

    with showing(url):
        try:
            address = make_url(rooted(expand_url(url), project_root()))
            backend, database = address.get_backend_name(), address.database
            if backend not in (SQLITE, *DRIVERS) or (backend, database) in _IN_MEMORY:
                raise ArgumentError
            address = address.set(drivername=installed_driver(address.drivername))
            address.get_dialect().import_dbapi()
        except (ArgumentError, NoSuchModuleError, ValueError) as error:
            if isinstance(error, SeglockError):
                raise
            raise ConfigError(
                "search.storage must be the URL of a PostgreSQL or SQLite database",
                got=hide_password(url),
                fix="write for example postgresql://me@host/studies",
            ) from error
        except ImportError as error:
            raise ConfigError(
                "search.storage must be a database whose driver is installed",
                got=hide_password(url),
                fix="pip install 'seglock[postgres]'",
            ) from error
    return address, _engine_options(address.drivername)


class ServerLock:
    """PostgreSQL's own lock on a study, held on a connection of its own: whoever is gone, or cut
    off for half a minute, has it no more."""

    def __init__(self, url: str, study: str) -> None:
        self._url = url
        key = int.from_bytes(hashlib.sha256(f"seglock/{study}".encode()).digest()[:8]) >> 1
        self._key = {"key": key, "high": key >> 32, "low": key & 0xFFFFFFFF}
        self._session: Connection | None = None

    def holder(self) -> str | None:
        """Take the lock, again where the connection was lost; who else has it, None for ours."""
        from sqlalchemy import text

        try:
            if self._session is None:
                self._session = self._connect()
            if self._session.scalar(text(_TAKE), self._key):
                return None
            return str(self._session.scalar(text(_HOLDER), self._key) or "another process")
        except BaseException:
            self.close()
            raise

    def _connect(self) -> Connection:
        from sqlalchemy import NullPool, create_engine

        address, options = _usable(self._url)
        if arguments := options.get("connect_args"):
            arguments |= {"application_name": this_process(), "options": _NOTICE_THE_DEAD}
        options |= {"isolation_level": "AUTOCOMMIT", "poolclass": NullPool}
        return create_engine(address, **options).connect()

    def close(self) -> None:
        """Give the lock back."""
        session, self._session = self._session, None
        if session is not None:
            with contextlib.suppress(Exception):  # the server is away, and the lock with it
                session.close()


def this_process() -> str:
    """As another coordinator's message names it."""
    return f"process {os.getpid()} on {socket.gethostname()}"


def installed_driver(name: str) -> str:
    """``postgresql`` with the driver that is installed: what it means alone is psycopg2 to
    SQLAlchemy 2.0 and psycopg to 2.1."""
    from importlib.util import find_spec

    if name not in DRIVERS:
        return name
    for module in DRIVERS[name]:
        if find_spec(module) is not None:
            return f"postgresql+{module}"
    raise ImportError(name)


def _engine_options(driver: str) -> dict[str, Any]:
    """Check a connection before it is used, and notice a dead network in bounded time."""
    options: dict[str, Any] = {"pool_pre_ping": True, "hide_parameters": True}
    if driver in ("postgresql+psycopg", "postgresql+psycopg2"):
        options["connect_args"] = {
            "connect_timeout": CONNECT_TIMEOUT,
            "keepalives_idle": 10,
            "keepalives_interval": 5,
            "keepalives_count": 3,
            "tcp_user_timeout": 30_000,  # milliseconds
        }
    return options
