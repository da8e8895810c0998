"""Which version of a registered model an alias names."""

from __future__ import annotations

from seglock.tracking.registry import Registry, Version


def current(registry: Registry, name: str, alias: str) -> Version | None:
    """None where there is no such model or alias."""
    with registry._store.calls() as client:
        for found in client.search_registered_models():
            if found.name == name and alias in found.aliases:
                return Version(name, str(found.aliases[alias]))
    return None
