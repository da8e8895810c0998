"""How processes and torch's threads share cores and CUDA devices; said in the environment, before
torch is loaded.

A thread that waits for the others of its team spins: the fastest way while each has a core, and the
slowest where something else wants it, for then it keeps from the core what it waits for
(``python -m benchmarks.busy``). OpenMP reads its variables once, when torch loads it; a process
started later inherits them.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Mapping, MutableMapping
from pathlib import Path

from seglock.errors import ConfigError

CHOICES = ("OMP_WAIT_POLICY", "OMP_NUM_THREADS", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")
"""Who sets one of these has chosen how threads wait, and is left alone."""

_DEVICE_FILES = ("nvidia[0-9]*", "dxg", "kfd")  # NVIDIA; under Windows' Linux; AMD
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


def chosen_threads(environ: Mapping[str, str]) -> int:
    """How many threads OMP_NUM_THREADS gives one computation, for libraries that do not read it;
    0 where it leaves them the choice.

    >>> chosen_threads({"OMP_NUM_THREADS": "4,2"}), chosen_threads({})
    (4, 0)
    """
    first = environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    return int(first) if first.isdecimal() else 0


def visible_cards() -> list[str]:
    """The CUDA devices of this process, as ``CUDA_VISIBLE_DEVICES`` names them.

    torch, which knows, is asked only where there is a device's file.
    """
    if not any(next(Path("/dev").glob(name), None) for name in _DEVICE_FILES):
        return []
    import torch

    named = [name for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name]
    count = torch.cuda.device_count()
    return named[:count] if named else [str(index) for index in range(count)]


def share_cards(workers: int, each: float, cards: list[str] | None = None) -> list[str]:
    """For each worker a value of ``CUDA_VISIBLE_DEVICES``; no values on a machine without cards.

    ``each``: how many cards a trial takes (``search.resources.gpus``); 0: one worker a card as
    far as they go, then the cards are shared. ``cards``: this machine's by default.

    Raises ConfigError when the cards do not suffice.

    >>> share_cards(3, 0, ["0", "1"]), share_cards(2, 2, ["0", "1", "2", "3"])
    (['0', '1', '0'], ['0,1', '2,3'])
    >>> share_cards(4, 0.5, ["0", "1"])
    ['0', '0', '1', '1']
    """
    cards = visible_cards() if cards is None else cards
    if not each:
        return [cards[index % len(cards)] for index in range(workers)] if cards else []
    own = math.ceil(each)  # cards of one trial, or
    together = max(1, math.floor(1 / each + 1e-9))  # trials of one card
    room = len(cards) // own * together
    if workers > room:
        raise ConfigError(
            "search.workers must fit this machine's CUDA devices",
            got=f"{workers} workers with search.resources.gpus={each:g} and {len(cards)} devices",
            fix=f"use at most {room} workers" if room else "set search.resources.gpus to 0",
        )
    first = [index // together * own for index in range(workers)]
    return [",".join(cards[start : start + own]) for start in first]


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
