"""Who runs, and what the machine is at meanwhile, by MLflow's own monitors and under its names.

MLflow's thread that samples them would wait for a store that is away, and longer than a training
may. So they are asked at the end of an epoch, at most every ``SECONDS``.
"""

from __future__ import annotations

import contextlib
import getpass
import importlib
import time
from typing import Any

SECONDS = 10.0
PREFIX = "system/"
_MONITORS = ("cpu_monitor.CPUMonitor", "gpu_monitor.GPUMonitor")


def made_by() -> dict[str, str]:
    """Whom MLflow shows as who made a run; nobody where the system does not know."""
    found = {"mlflow.source.type": "LOCAL"}
    with contextlib.suppress(Exception):  # a container's user may have no entry
        found["mlflow.user"] = getpass.getuser()
    return found


class SystemMonitor:
    """Processor and memory where psutil is installed, graphics cards where pynvml finds one."""

    def __init__(self) -> None:
        self._monitors: list[Any] = []
        self._asked = -SECONDS
        for name in _MONITORS:
            module, _, kind = name.partition(".")
            with contextlib.suppress(Exception):  # not installed, or no such card
                found = importlib.import_module(f"mlflow.system_metrics.metrics.{module}")
                self._monitors.append(getattr(found, kind)())

    def sample(self) -> dict[str, float]:
        """Figures by MLflow's names; none where the last ones are fresh."""
        if time.monotonic() - self._asked < SECONDS:
            return {}
        self._asked = time.monotonic()
        found: dict[str, float] = {}
        for monitor in self._monitors:
            with contextlib.suppress(Exception):  # a card that is lost ends no training
                monitor.collect_metrics()
                found |= {f"{PREFIX}{n}": value for n, value in monitor.aggregate_metrics().items()}
                monitor.clear_metrics()
        return found
