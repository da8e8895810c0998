"""Where a study is kept: a journal file, or a database that may go away for a while."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from seglock.config.search_rules import hide_password
from seglock.errors import BusyError, ConfigError, SeglockError, StorageError, in_short
from seglock.search.database import has_tables, open_database
from seglock.search.journal import JOURNAL, open_journal, read_journal
from seglock.variables import as_written, showing

if TYPE_CHECKING:
    from optuna.storages import BaseStorage

T = TypeVar("T")
_REFUSED = re.compile(
    r"authentication|permission denied|no pg_hba|(database|role) \"[^\"]*\" does not exist"
    r"|Access denied|Unknown database",
    re.IGNORECASE,
)
_PARAMETERS_LOGGED = re.compile(r"\s*\[(SQL|parameters):.*|\(Background on this error.*", re.DOTALL)


@dataclass(frozen=True)
class Opened:
    """A storage of Optuna's, ready to use. ``shown`` may be told to anyone: it has no password.

    ``remote``: other machines can reach it, so a lock file does not keep them out.
    """

    storage: BaseStorage
    shown: str
    remote: bool

    def close(self) -> None:
        """Close the connections to a database."""
        engine = getattr(getattr(self.storage, "_backend", None), "engine", None)
        if engine is not None:
            engine.dispose()


def shown_storage(url: str | None, folder: Path) -> str:
    """A storage as it may be shown: the journal's file in the project, or the URL without its
    password.

    >>> shown_storage(None, Path("/home/ann/project/.seglock/search/tradeoff"))
    '.seglock/search/tradeoff/journal.log'
    """
    if url is None:
        return Path(*folder.parts[-3:], JOURNAL).as_posix()
    return hide_password(url)


class Patience:
    """Repeats a call while the database is away, at most ``seconds`` long; then gives up.

    A call must be safe to repeat: the one before may have been done, and only its answer lost.
    ``say`` is told once an outage, ``sleep`` waits between two attempts (Ctrl-C ends it). ``url``
    is the database's as params.yaml has it, which all that is told shows.
    """

    def __init__(
        self,
        seconds: float,
        url: str | None = None,
        *,
        say: Callable[[str], None] = lambda _: None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.seconds = seconds
        self.url = url
        self.say = say
        self.sleep = sleep

    def __call__(self, call: Callable[[], T]) -> T:
        """What ``call`` returns. Raises StorageError when it cannot be had."""
        with showing(self.url):
            return self._repeat(call)

    def _repeat(self, call: Callable[[], T]) -> T:
        until: float | None = None
        while True:
            try:
                found = call()
            except SeglockError:
                raise
            except Exception as error:
                if (refusal := _refusal(error)) is not None:
                    raise refusal from error
                if (away := reason_away(error)) is None:
                    raise
                if until is None:
                    until = time.monotonic() + self.seconds
                    told = f"the study's database is away ({away}); waiting for it"
                    self.say(as_written(told, self.url))
                if time.monotonic() > until:
                    raise _gone(away, self.seconds) from error
                self.sleep(0.25)
            else:
                if until is not None:
                    self.say("the study's database answers again")
                return found


def open_storage(url: str | None, folder: Path, patience: Patience) -> Opened:
    """Open the study's storage for its coordinator.

    url: any that Optuna and SQLAlchemy take, with ``$VARIABLES``; None is ``folder/journal.log``.
    Raises ConfigError when it cannot be used as it is, StorageError when it is away for too long.
    """
    if url is None:
        file = folder / JOURNAL
        return Opened(
            patience(lambda: open_journal(file)), shown_storage(None, folder), remote=False
        )
    return Opened(patience(lambda: open_database(url)), hide_password(url), remote=True)


def open_to_read(url: str | None, folder: Path, patience: Patience) -> Opened | None:
    """Open the storage without making or mending anything; None where there is none yet."""
    if url is None:
        journal = read_journal(folder / JOURNAL)
        return (
            None if journal is None else Opened(journal, shown_storage(None, folder), remote=False)
        )
    if not patience(lambda: has_tables(url)):
        return None
    return Opened(patience(lambda: open_database(url)), hide_password(url), remote=True)


def reason_away(error: BaseException) -> str | None:
    """Why the database does not answer just now; None for any other error.

    Optuna hides SQLAlchemy's error of a commit behind one of its own.
    """
    from optuna.exceptions import StorageInternalError
    from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, PendingRollbackError
    from sqlalchemy.exc import TimeoutError as PoolTimeoutError

    if isinstance(error, StorageInternalError) and error.__cause__ is not None:
        error = error.__cause__
    if isinstance(error, PendingRollbackError):
        return "the connection was lost"  # Optuna asked once more after the first error
    if isinstance(error, OperationalError | InterfaceError | PoolTimeoutError) or (
        isinstance(error, DBAPIError) and error.connection_invalidated
    ):
        return _plain(error)
    return None


def _refusal(error: BaseException) -> SeglockError | None:
    """The error that waiting would not mend, as ours; None for one to wait out, or a bug."""
    from optuna.exceptions import StorageInternalError, UpdateFinishedTrialError
    from sqlalchemy.exc import SQLAlchemyError

    if isinstance(error, UpdateFinishedTrialError):
        return BusyError(
            "only one coordinator at a time may run a study",
            got="a trial that another one has ended",
            fix="wait for that one or stop it, then run the same command again",
        )
    if isinstance(error, OSError):
        return StorageError(
            "the study's folder must be writable",
            got=(error.strerror or str(error)).lower(),
            fix="free some space, then run the same command again; nothing measured is lost",
        )
    away = reason_away(error)
    if away is not None and _REFUSED.search(away):
        return ConfigError(
            "search.storage must be a database that lets this user in",
            got=away,
            fix="correct the URL; a password comes from $VARIABLE, PGPASSWORD or PGPASSFILE",
        )
    if away is not None and "disk is full" in away:
        return StorageError(
            "the study's database must be writable",
            got=away,
            fix="free some space, then run the same command again; nothing measured is lost",
        )
    if away is None and isinstance(error, SQLAlchemyError | StorageInternalError):
        return StorageError(
            "the study's database must take what is written",
            got=_plain(error.__cause__ or error),
            fix="mend that, then run the same command again; nothing measured is lost",
        )
    return None


def _gone(reason: str, seconds: float) -> StorageError:
    return StorageError(
        f"the study's database must answer within {seconds:g} s",
        got=reason,
        fix="start it, then run the same command again; nothing measured is lost",
    )


def _plain(error: BaseException) -> str:
    """The driver's own words on one line, without SQL and its values."""
    text = _PARAMETERS_LOGGED.sub("", str(getattr(error, "orig", None) or error))
    return in_short(text)
