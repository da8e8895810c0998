"""One coordinator a study: a lock on its folder, and a lease where other machines reach it."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seglock.errors import BusyError

if TYPE_CHECKING:
    from seglock.search.study import StudyLog

LEASE = "coordinator"
BEAT_SECONDS = 5.0
STALE_SECONDS = 30.0
SETTLE_SECONDS = 0.5
_OURS: set[str] = set()
"""Tokens of this process that are in use: one that its database never took back is not."""


class Lease:
    """The right to ask and tell, kept in the study's attributes and renewed by a thread.

    Clocks of two machines need not agree: a lease is stale when it was watched for a while and
    did not change. On one machine the process that holds it is looked at instead.
    """

    def __init__(self, log: StudyLog) -> None:
        self.log = log
        self.token = uuid.uuid4().hex
        self.taken_by: dict[str, Any] | None = None
        self._beat = 0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._renew, name="lease", daemon=True)

    def take(self) -> None:
        """Raises BusyError, naming who, when a living coordinator has the study."""
        held = self.log.attribute(LEASE)
        if held and not self._is_free(held):
            raise _busy(self.log.study.study_name, held)
        _OURS.add(self.token)
        self.log.patience(self._write)
        self.log.patience.sleep(SETTLE_SECONDS)  # of two that begin at once, the last has it
        self.look()
        self._thread.start()

    def check(self) -> None:
        """Raise BusyError when another coordinator has taken the study over."""
        if self.taken_by is not None:
            raise _busy(self.log.study.study_name, self.taken_by)

    def look(self) -> None:
        """Check what the study says now, rather than what it said at the last beat."""
        self.log.patience(self._look)
        self.check()

    def give_back(self) -> None:
        """The next coordinator need not wait."""
        self._done.set()
        _OURS.discard(self.token)
        if self._thread.is_alive():
            self._thread.join(timeout=BEAT_SECONDS)
        with contextlib.suppress(Exception):  # it goes stale by itself
            study = self.log.study
            if (study.user_attrs.get(LEASE) or {}).get("token") == self.token:
                study.set_user_attr(LEASE, None)

    def _is_free(self, held: dict[str, Any]) -> bool:
        if held.get("machine") == machine():
            return not _alive(held)
        until = time.monotonic() + STALE_SECONDS
        while time.monotonic() < until:
            self.log.patience.sleep(1.0)  # Ctrl-C ends it
            now = self.log.attribute(LEASE)
            if now != held:
                return not now
        return True

    def _renew(self) -> None:
        while not self._done.wait(BEAT_SECONDS):
            with contextlib.suppress(Exception):  # the database is away; so it is for all others
                self._look()
                if self.taken_by is None:
                    self._write()

    def _look(self) -> None:
        held = self.log.study.user_attrs.get(LEASE)
        if held and held.get("token") != self.token:
            self.taken_by = held

    def _write(self) -> None:
        self._beat += 1
        value = {"token": self.token, "beat": self._beat, "host": socket.gethostname()}
        value |= {"machine": machine(), "pid": os.getpid(), "begun": _begun(os.getpid())}
        self.log.study.set_user_attr(LEASE, value)


@contextlib.contextmanager
def leased(log: StudyLog) -> Iterator[Lease | None]:
    """Hold the study's lease for the block; a journal has none, its folder's lock does it."""
    if not log.opened.remote:
        yield None
        return
    lease = Lease(log)
    try:
        lease.take()
        yield lease
    finally:
        lease.give_back()


def taken_over(lease: Lease | None, trial: int) -> BusyError:
    """The error for a trial that another coordinator ended: it took the study over between two
    beats. Raised from here, with its name, where the study knows that."""
    if lease is not None:
        lease.look()
    return BusyError(
        "only one coordinator at a time may run a study",
        got=f"trial {trial}, which was computed here and ended by another one",
        fix="wait for that one or stop it, then run the same command again",
    )


def machine() -> str:
    """What two processes share exactly when each can see the other's id."""
    parts = [socket.gethostname()]
    with contextlib.suppress(OSError):
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text().strip())
    with contextlib.suppress(OSError):
        parts.append(str(Path("/proc/self/ns/pid").readlink()))  # differs between containers
    return " ".join(parts)


def _alive(held: dict[str, Any]) -> bool:
    pid = int(held["pid"])
    if pid == os.getpid():
        return held["token"] in _OURS
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return bool(_begun(pid) == held["begun"])


def _begun(pid: int) -> str | None:
    """When a process began, in the kernel's ticks: a later process may have the same id.

    None for one that is dead and was never waited for, as in a container whose first process
    waits for nobody: its id stays.
    """
    with contextlib.suppress(OSError, IndexError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return None if fields[0] in "ZX" else fields[19]
    return None


def _busy(name: str, held: dict[str, Any]) -> BusyError:
    return BusyError(
        f"only one coordinator at a time may run study {name}",
        got=f"process {held.get('pid')} on {held.get('host')}, which is at it",
        fix="wait for it or stop it; more machines join through --ray, not by a second command",
    )
