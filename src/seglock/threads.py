"""How torch's threads share the cores; said in the environment, before torch is loaded.

A thread that waits for the others of its team spins: the fastest way while each has a core, and the
slowest where something else wants it, for then it keeps from the core what it waits for
(``python -m benchmarks.busy``). OpenMP reads its variables once, when torch loads it; a process
started later inherits them.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, MutableMapping
from pathlib import Path

CHOICES = ("OMP_WAIT_POLICY", "OMP_NUM_THREADS", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")
"""Who sets one of these has chosen how threads wait, and is left alone."""

_STAT = Path("/proc/stat")
_BUSY = 0.5
_LOOKS = (0.1, 0.4)


def available_cores() -> int:
    """Cores this process may use."""
    return len(_cores())


def share_cores(environ: MutableMapping[str, str], processes: int) -> None:
    """For a process that computes beside others like it: its part of the cores, and no spinning."""
    _wait_passively(environ)
    environ.setdefault("OMP_NUM_THREADS", str(max(1, available_cores() // processes)))


def give_way(say: Callable[[str], None]) -> None:
    """Where others use the cores already, let this process's threads wait without spinning.

    ``say`` gets the one line that tells so. Costs 0.1 s on a machine that does nothing else.
    """
    if any(name in os.environ for name in CHOICES):
        return
    used = 0.0
    for seconds in _LOOKS:  # a second, longer look, so that a passing moment decides nothing
        used = busy_cores(seconds)
        if used < _BUSY:
            return
    _wait_passively(os.environ)
    say(
        f"busy machine: others use {used:.1f} of {available_cores()} cores, so torch's threads wait"
        " without spinning (OMP_WAIT_POLICY=PASSIVE; set it yourself to choose)"
    )


def busy_cores(seconds: float) -> float:
    """How many of this process's cores others use, over the next ``seconds``; 0 if not to be known.

    Not the load average: that still counts what this pipeline's last stage did.
    """
    before = _ticks()
    time.sleep(seconds)
    spans = [
        (busy - before[core][0], whole - before[core][1])
        for core, (busy, whole) in _ticks().items()
        if core in before
    ]
    return sum(busy / whole for busy, whole in spans if whole > 0)


def _wait_passively(environ: MutableMapping[str, str]) -> None:
    if not any(name in environ for name in CHOICES):
        environ["OMP_WAIT_POLICY"] = "PASSIVE"


def _cores() -> set[int]:
    if hasattr(os, "sched_getaffinity"):
        return os.sched_getaffinity(0)
    return set(range(os.cpu_count() or 1))


def _ticks() -> dict[int, tuple[int, int]]:
    """Of each core of ours: how long it was busy since the machine started, and how long in all."""
    found = dict[int, tuple[int, int]]()
    try:
        lines = _STAT.read_text(encoding="ascii").splitlines()
    except OSError:  # no Linux
        return found
    ours = _cores()
    for name, *fields in (line.split() for line in lines if line.startswith("cpu")):
        if name != "cpu" and int(name[3:]) in ours:
            user, nice, system, idle, waiting, *rest = map(int, fields[:8])
            busy = user + nice + system + sum(rest)
            found[int(name[3:])] = busy, busy + idle + waiting
    return found
