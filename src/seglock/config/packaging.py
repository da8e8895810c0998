"""Which locks can be packaged."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from seglock.config.rules import Values, as_fault, readable
from seglock.errors import ConfigError, nearest_name
from seglock.steps import FeatureStep


def package_faults(register: Iterable[str], locks: Mapping[str, Values]) -> list[str]:
    """What is packaged must be a lock whose key a server can do without.

    >>> package_faults(["np-4"], {"baseline": {}, "np-2": {}})
    ["package.register must name locks, got np-4; did you mean 'np-2'?"]
    """
    rule = "package.register must name locks"
    wanted = sorted(set(register))
    unknown = [
        as_fault(rule, name, nearest_name(name, locks)) for name in wanted if name not in locks
    ]
    steps = {name: locks[name].get("steps", ()) for name in wanted if name in locks}
    closed = (inside_fault(name, own) for name, own in steps.items())
    return unknown + [str(fault) for fault in closed if fault]


def inside_fault(name: str, steps: Iterable[object]) -> ConfigError | None:
    """Why a lock cannot be packaged: its key acts inside the network, and a package has no key."""
    inside = [step for step in readable(steps) if isinstance(step, FeatureStep)]
    if not inside:
        return None
    return ConfigError(
        "what is packaged must run without the key, and a chp step acts inside the network",
        got=f"{name}, with {', '.join(map(str, inside))}",
        fix="package a lock whose steps are all on images; this one runs where its key is",
    )
