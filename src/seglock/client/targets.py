"""What answers: a model on this machine, or a server."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from seglock.client.sealer import Sealer
    from seglock.serving.description import Description
    from seglock.serving.runtime import LockedModel


class Target(Protocol):
    """A described model that answers single encrypted images."""

    @property
    def description(self) -> Description:
        """What the model says of itself."""

    def answer(self, values: NDArray[Any], sealer: Sealer) -> NDArray[np.uint8]:
        """Class indices (S, S) of an encrypted image (3, S, S); ``sealer`` made it."""


class LocalTarget:
    """A package, or one of its files. Weights are loaded, with torch, once they are needed."""

    def __init__(self, path: Path, device: str = "auto") -> None:
        from seglock.serving.files import read_description
        from seglock.serving.runtime import open_runtime

        self._path, self._device = path, device
        # An ONNX file tells of itself only once it is loaded, so that it is loaded once.
        self._model: LockedModel | None = open_runtime(path) if path.suffix == ".onnx" else None
        self.description = self._model.description if self._model else read_description(path)

    def answer(self, values: NDArray[Any], sealer: Sealer) -> NDArray[np.uint8]:
        """Class indices (S, S) of an encrypted image (3, S, S)."""
        from seglock.serving.runtime import open_runtime

        del sealer
        if self._model is None:
            self._model = open_runtime(self._path, self._device)
        classes: NDArray[np.uint8] = self._model.predict(values[None])[0]
        return classes


def open_target(model: str | Path, *, check: bool = True, token: str | None = None) -> Target:
    """The model that ``model`` names: a path, ``models:/...``, or a server's http(s)
    address.

    Raises ModelError for what is no seglock package, ServerError for an address without a server
    of one, and for one that photos must not be sent to.
    """
    if str(model).startswith(("http://", "https://")):
        from seglock.client.server import ServerTarget

        return ServerTarget(str(model), check=check, token=token)
    return LocalTarget(local_path(model))


def local_path(model: str | Path) -> Path:
    """Where a model is on this machine; ``models:/...`` is fetched from the project's registry.

    Raises ModelError for a version that is retired, expired or unknown, TrackingError where the
    registry is away.
    """
    if not str(model).startswith("models:/"):
        return Path(model)
    from seglock.address import project_root
    from seglock.tracking.registry import Registry

    return Registry(project_root()).fetch(str(model))
