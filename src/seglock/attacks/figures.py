"""The few numbers of an attack's result that are told beside other figures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

FIGURES = ("miou", "regained", "plan_found", "above_chance", "queries", "seconds")


def figures(result: Mapping[str, Any]) -> dict[str, float]:
    """Those of ``FIGURES`` that a result has, by name.

    >>> result = {"miou": 0.5, "regained": None, "plan_found": True, "above_chance": None}
    >>> figures(result | {"queries": 1, "seconds": 2.0})
    {'miou': 0.5, 'plan_found': 1, 'queries': 1, 'seconds': 2.0}
    """
    found = {name: result[name] for name in FIGURES if result[name] is not None}
    return {name: int(v) if isinstance(v, bool) else v for name, v in found.items()}
