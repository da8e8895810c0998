"""seglock: lock a semantic segmentation model behind a secret key."""

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from seglock.client import Client
    from seglock.keys import SecretKey
    from seglock.training import fold
    from seglock.transforms import Transform, build_transform, compose

__all__ = ["Client", "SecretKey", "Transform", "__version__", "build_transform", "compose", "fold"]

_HOMES = {
    "Client": "seglock.client",
    "SecretKey": "seglock.keys",
    "Transform": "seglock.transforms",
    "build_transform": "seglock.transforms",
    "compose": "seglock.transforms",
    "fold": "seglock.training",
}


def __getattr__(name: str) -> Any:
    """Import the public names when they are first used: ``import seglock`` itself is instant."""
    if name in _HOMES:
        import importlib

        value = getattr(importlib.import_module(_HOMES[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'seglock' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
