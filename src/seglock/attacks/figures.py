"""The few numbers of an attack's result that are told beside other figures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

FIGURES = ("miou", "regained", "plan_agreement", "queries", "seconds")


def figures(result: Mapping[str, Any]) -> dict[str, float]:
    """Those of ``FIGURES`` that a result has, by name.

    >>> figures({"miou": 0.5, "regained": None, "plan_agreement": 1.0, "queries": 1, "seconds": 2})
    {'miou': 0.5, 'plan_agreement': 1.0, 'queries': 1, 'seconds': 2}
    """
    return {name: result[name] for name in FIGURES if result[name] is not None}
