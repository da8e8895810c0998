"""Where a study is kept: a SQLite file of its own, or a database that may go away for a while."""

from __future__ import annotations

import contextlib
import re
import sqlite3
import stat
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from seglock.config.search_rules import hide_password
from seglock.errors import BusyError, ConfigError, SeglockError, StorageError, in_short
from seglock.search.database import closing, open_database, open_file, read_database, read_file
from seglock.search.settings import FOLDER
from seglock.variables import as_written, showing

if TYPE_CHECKING:
    from optuna.storages import BaseStorage

T = TypeVar("T")
FILE = "study.db"
_BESIDE = ("-journal", "-wal", "-shm")
"""What SQLite writes beside a file."""
_REFUSED = re.compile(
    r"authentication|permission denied|no pg_hba|(database|role) \"[^\"]*\" does not exist",
    re.IGNORECASE,
)
_DAMAGED = re.compile("not a database|malformed")
_UNWRITABLE = re.compile("disk is full|readonly database|unable to open database file")
_PARAMETERS_LOGGED = re.compile(r"\s*\[(SQL|parameters):.*|\(Background on this error.*", re.DOTALL)


def shown_storage(url: str | None, study: str) -> str:
    """A storage as it may be shown: the study's file in the project, or the URL without its
    password.

    >>> shown_storage(None, "tradeoff")
    '.seglock/search/tradeoff/study.db'
    """
    return (FOLDER / study / FILE).as_posix() if url is None else hide_password(url)


@dataclass
class Patience:
    """Repeats a call while the database is away, at most ``seconds`` long; then gives up.

    A call must be safe to repeat: the one before may have been done, and only its answer lost.
    ``say`` is told once an outage, ``sleep`` waits between two attempts (Ctrl-C ends it). ``url``
    is the database's as params.yaml has it, which all that is told shows.
    """

    seconds: float
    url: str | None = None
    say: Callable[[str], None] = lambda _: None
    sleep: Callable[[float], None] = time.sleep

    def __call__(self, call: Callable[[], T]) -> T:
        """What ``call`` returns. Raises StorageError when it cannot be had."""
        until: float | None = None
        with showing(self.url):
            while True:
                try:
                    found = call()
                    break
                except SeglockError:
                    raise
                except Exception as error:
                    if (away := _reason_away(error)) is None:
                        raise
                    if until is None:
                        until = time.monotonic() + self.seconds
                        told = f"the study's database is away ({away}); waiting for it"
                        self.say(as_written(told, self.url))
                    if time.monotonic() > until:
                        raise StorageError(
                            f"the study's database must answer within {self.seconds:g} s",
                            got=away,
                            fix="start it, then run the same command again; nothing measured is "
                            "lost",
                        ) from error
                    self.sleep(0.25)
        if until is not None:
            self.say("the study's database answers again")
        return found


@contextlib.contextmanager
def open_storage(url: str | None, folder: Path, patience: Patience) -> Iterator[BaseStorage]:
    """The study's storage, for its coordinator.

    url: of SQLite or PostgreSQL, with ``$VARIABLES``; None is ``folder/study.db``.
    Raises ConfigError when it cannot be used as it is, StorageError when it is away for too long.
    """

    def opened() -> BaseStorage:
        return open_file(_plain_file(folder / FILE)) if url is None else open_database(url)

    with closing(patience(opened)) as storage:
        yield storage


@contextlib.contextmanager
def open_to_read(url: str | None, folder: Path, patience: Patience) -> Iterator[BaseStorage | None]:
    """The storage, without making or mending anything; None where there is none yet."""

    def found() -> BaseStorage | None:
        return read_file(_plain_file(folder / FILE)) if url is None else read_database(url)

    with closing(patience(found)) as storage:
        yield storage


def _plain_file(file: Path) -> Path:
    """A file of ours, with what SQLite writes beside it. What a link leads to is not ours."""
    for path in (file, *(file.with_name(f"{file.name}{end}") for end in _BESIDE)):
        try:  # in one look: while a study runs, its journal comes and goes
            mode = path.lstat().st_mode
        except FileNotFoundError:
            continue
        if not stat.S_ISREG(mode):
            raise StorageError(f"{path} must be a file", got="a link or a pipe", fix="remove it")
    return file


def quiet_optuna() -> Any:
    """Optuna without its lines on standard error; what matters is told by us."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna


def _reason_away(error: Exception) -> str | None:
    """Why the database does not answer just now; None for what is no error of a storage.

    Raises what waiting would not mend, as an error of ours.
    """
    from optuna.exceptions import StorageInternalError, UpdateFinishedTrialError
    from sqlalchemy.exc import PendingRollbackError, SQLAlchemyError

    if isinstance(error, UpdateFinishedTrialError):
        raise BusyError(
            "only one coordinator at a time may run a study",
            got="a trial that another one has ended",
            fix="wait for that one or stop it, then run the same command again",
        ) from error
    if isinstance(error, OSError):
        raise _unwritable((error.strerror or str(error)).lower()) from error
    if not isinstance(error, SQLAlchemyError | StorageInternalError | sqlite3.Error):
        return None
    # Optuna hides SQLAlchemy's error of a commit behind one of its own.
    own = error.__cause__ if isinstance(error, StorageInternalError) else error
    if isinstance(own, PendingRollbackError):
        return "the connection was lost"  # Optuna asked once more after the first error
    # The driver's own words on one line, without SQL and its values.
    text = in_short(_PARAMETERS_LOGGED.sub("", str(getattr(own, "orig", None) or own or error)))
    if _UNWRITABLE.search(text):
        raise _unwritable(text.replace("database or disk is full", "no space left on device"))
    if _DAMAGED.search(text):
        raise _damaged("the study's database", text) from error
    if _may_pass(own):
        if not _REFUSED.search(text):
            return text
        raise ConfigError(
            "search.storage must be a database that lets this user in",
            got=text,
            fix="correct the URL; a password comes from $VARIABLE, PGPASSWORD or PGPASSFILE",
        ) from error
    raise StorageError(
        "the study's database must take what is written",
        got=text,
        fix="mend that, then run the same command again; nothing measured is lost",
    ) from error


def _may_pass(error: BaseException | None) -> bool:
    from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
    from sqlalchemy.exc import TimeoutError as PoolTimeoutError

    lost = isinstance(error, DBAPIError) and error.connection_invalidated
    return lost or isinstance(error, OperationalError | InterfaceError | PoolTimeoutError)


def _unwritable(reason: str) -> StorageError:
    return StorageError(
        "the study's folder must be writable",
        got=reason,
        fix="free some space, then run the same command again; nothing measured is lost",
    )


def _damaged(what: object, reason: str) -> StorageError:
    return StorageError(
        f"{what} must be as it was written",
        got=reason,
        fix="restore the file from a copy, or remove it: the study begins anew",
    )
