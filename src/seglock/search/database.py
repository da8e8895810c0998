"""A study's database: its URL, its driver, and a connection that notices when it is gone."""

from __future__ import annotations

import contextlib
import re
import shlex
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from seglock.config.search_rules import hide_password
from seglock.errors import ConfigError, SeglockError
from seglock.tracking import project_root, rooted
from seglock.variables import expand, showing

if TYPE_CHECKING:
    from optuna.storages import BaseStorage

CONNECT_TIMEOUT = 5  # seconds
_DRIVERS = {"postgresql": ("psycopg2", "psycopg"), "postgres": ("psycopg2", "psycopg")}


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
    import logging

    from optuna.storages import RDBStorage, get_storage

    logging.getLogger("alembic").setLevel(logging.WARNING)
    with _usable(url) as (whole, options):
        # Optuna formats the URL as a template, and would take a password's braces for names.
        template = whole.replace("{", "{{").replace("}", "}}")
        try:
            return get_storage(RDBStorage(template, engine_kwargs=options))
        except RuntimeError as error:  # tables of another Optuna; it says what to do
            raise ConfigError(
                "search.storage must be a database of this version of Optuna's",
                got=" ".join(str(error).split()),
            ) from error


def has_tables(url: str) -> bool:
    """Whether Optuna was ever here; asking makes nothing."""
    from sqlalchemy import create_engine, inspect

    with _usable(url) as (whole, options):
        engine = create_engine(whole, **options)
        try:
            return inspect(engine).has_table("studies")
        finally:
            engine.dispose()


@contextlib.contextmanager
def _usable(url: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The URL as SQLAlchemy needs it, with its options; what cannot be used is a ConfigError."""
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError, NoSuchModuleError

    with showing(url):
        try:
            parsed = make_url(rooted(expand_url(url), project_root()))
            driver = _driver(parsed.drivername)
            whole = parsed.set(drivername=driver).render_as_string(hide_password=False)
            yield whole, _engine_options(driver)
        except (ArgumentError, NoSuchModuleError, ValueError) as error:
            if isinstance(error, SeglockError):
                raise
            raise ConfigError(
                "search.storage must be the URL of a database that SQLAlchemy knows",
                got=hide_password(url),
                fix="write for example postgresql://me@host/studies",
            ) from error
        except ImportError as error:
            raise ConfigError(
                "search.storage must be a database whose driver is installed",
                got=hide_password(url),
                fix="pip install 'seglock[postgres]'"
                if url.startswith("postgres")
                else "install its driver for SQLAlchemy",
            ) from error


def dashboard_command(shown: str) -> str:
    """A line for a POSIX shell that opens a storage in optuna-dashboard, which knows nothing of
    our ``$VARIABLES`` and drivers. ``shown``: without a password; its variables stay.

    The shell would put a password in the URL as it is: PostgreSQL reads it from the environment.

    >>> dashboard_command(".seglock/search/tradeoff/journal.log")
    'optuna-dashboard .seglock/search/tradeoff/journal.log'
    >>> dashboard_command("postgresql+psycopg://ann:$SECRET@db/studies?sslmode=require")
    'PGPASSWORD="$SECRET" optuna-dashboard "postgresql+psycopg://ann@db/studies?sslmode=require"'
    """
    scheme, found, rest = shown.partition("://")
    if not found and not shown.startswith("$"):
        return f"optuna-dashboard {shlex.quote(shown)}"
    before = ""
    if scheme.partition("+")[0] in _DRIVERS:
        with contextlib.suppress(ImportError):  # then this machine cannot open it at all
            scheme = _driver(scheme)
        user, at, place = rest.rpartition("@")
        user, _, password = user.partition(":")
        rest = f"{user}{at}{place}"
        before = f'PGPASSWORD="{password}" ' if password.startswith("$") else ""
    address = f"{scheme}{found}{rest}"
    quoted = address if re.fullmatch(r"[\w.:/@+%=,-]*", address) else f'"{address}"'
    return f"{before}optuna-dashboard {quoted}"


def _driver(name: str) -> str:
    """``postgresql`` with the driver that is installed: what it means alone is psycopg2 to
    SQLAlchemy 2.0 and psycopg to 2.1."""
    from importlib.util import find_spec

    if name not in _DRIVERS:
        return name
    for module in _DRIVERS[name]:
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
