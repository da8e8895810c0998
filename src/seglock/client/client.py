"""Three lines in a notebook: a locked model, the key, a photo."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from seglock.client.keys import key_for
from seglock.client.photos import open_photo
from seglock.client.prediction import Prediction, at_size
from seglock.client.sealer import Sealer
from seglock.client.targets import open_target

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image

    from seglock.keys import SecretKey
    from seglock.serving.description import Description


class Client:
    """Predicts photos with a locked model: encrypts them here, asks the model, brings masks back.

    Args:
        model: a package's folder, its ``weights.safetensors`` or ``model.onnx``,
            ``models:/NAME@ALIAS`` or ``models:/NAME/VERSION``, or the address of a server
            (``seglock serve``, ``mlflow models serve``). Off this machine it must be https.
        key: the key's name on this machine, or a `SecretKey`; None for a model without a lock.
        check: the key must be the one of the model's record, checked before anything is sent.
            Without it, a wrong key shows what it gives.
        token: what the server asks for.

    Neither the key nor a photo leaves this process; a server is sent encrypted images alone.

    Raises:
        KeyRefusedError: a key that is missing or another one; it names the id to ask for.
        ModelError: what is no seglock package. ServerError: a server that is none of one.

    Examples:
        ```python
        client = seglock.Client("data/packages/np-4", "main")
        client.predict("street.jpg").mask()
        ```
    """

    def __init__(
        self,
        model: str | Path,
        key: SecretKey | str | None,
        *,
        check: bool = True,
        token: str | None = None,
    ) -> None:
        self._target = open_target(model, check=check, token=token)
        about = self._target.description
        self._sealer = Sealer.of(about, key_for(about, key, check=check))

    @property
    def description(self) -> Description:
        """What the model says of itself: lock, classes, image side, key id."""
        return self._target.description

    @property
    def key_id(self) -> str | None:
        """The public id of the key in use; None for a model without a lock."""
        return self._sealer.key_id

    def predict(self, photo: str | Path | Image.Image | NDArray[np.uint8]) -> Prediction:
        """The classes of one photo.

        Args:
            photo: an image file; a picture of Pillow's, RGB or grey, taken as it is held; or an
                array (H, W, 3) uint8, 0 to 255, RGB.

        Returns:
            A Prediction: ``classes`` (H, W) uint8 of the photo's size, a file's as viewers show
            it, and the classes' ``names``.

        Raises:
            DataError: a photo that cannot be read.
            ServerError: a server that does not answer, or not with a mask.
        """
        opened = open_photo(photo)
        classes = self._target.answer(self._sealer.values(opened), self._sealer)
        return Prediction(at_size(classes, opened.size), self.description.classes)
