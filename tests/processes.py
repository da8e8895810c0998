"""Which processes there are, as /proc says."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path


def in_session(session: int) -> list[int]:
    """The living processes of a session: Ray's workers leave their group, but not that."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, _, _, theirs = path.read_text().rpartition(")")[2].split()[:4]
            if int(theirs) == session and state != "Z":
                found.append(int(path.parent.name))
    return found


def children(process: int) -> list[int]:
    """The process numbers of all children, the ended ones that nobody waited for among them."""
    return _by_parent().get(process, [])


def descendants(process: int) -> list[int]:
    """The process numbers of all children, and of theirs."""
    by_parent = _by_parent()

    def below(parent: int) -> list[int]:
        return [one for child in by_parent.get(parent, []) for one in (child, *below(child))]

    return below(process)


def kill_with_all_below(process: int) -> None:
    """End a process and its descendants at once, as when their machine loses power."""
    for one in (process, *descendants(process)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(one, signal.SIGKILL)


def _by_parent() -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parent = int(path.read_text().rpartition(")")[2].split()[1])
            found.setdefault(parent, []).append(int(path.parent.name))
    return found
