"""A lock under its key, for single photos: what the network is sent, and back from there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from seglock.data.pictures import resized
from seglock.errors import DataError, KeyRefusedError
from seglock.serving.envelope import Envelope

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL import Image

    from seglock.keys import SecretKey
    from seglock.serving.description import Description
    from seglock.transforms import Transform


@dataclass(frozen=True, repr=False, eq=False)
class Sealer:
    """One lock's transform and the side of its network's images; NumPy alone, no torch.

    It is worth as much as the key. ``key_id`` is None for a model without a lock, whose images
    are only resized.
    """

    lock: str
    side: int
    transform: Transform
    key_id: str | None

    @classmethod
    def of(cls, about: Description, key: SecretKey | None) -> Self:
        """The sealer for a described model; None only for one without a lock."""
        from seglock.transforms import compose

        transform = compose(about.steps, key, about.ffx_password)
        return cls(about.lock, about.image_side, transform, key.id if key else None)

    @property
    def steps(self) -> tuple[str, ...]:
        """The names of the lock's steps."""
        return tuple(map(str, self.transform.steps))

    def values(self, photo: Image.Image) -> NDArray[Any]:
        """What the network is sent of an RGB picture: (3, S, S) uint8, or int16 with FFX."""
        encrypted: NDArray[Any] = self.transform.encrypt(resized(photo, self.side)[None])[0]
        return encrypted

    def seal(self, photo: Image.Image) -> Envelope:
        """An RGB picture as an envelope. Raises DataError for a model without a lock."""
        if self.key_id is None:
            raise DataError(
                "a photo can be sealed for a model that has a lock",
                got=f"{self.lock}, which has no steps",
                fix="choose a lock with steps: what has none takes photos as they are",
            )
        return Envelope(self.values(photo), self.key_id, self.lock, self.steps, photo.size)

    def unseal(self, envelope: Envelope) -> NDArray[np.uint8]:
        """The image that was sealed, at the network's size: (3, S, S) uint8.

        Raises KeyRefusedError where the key is another one, naming the id to ask for, DataError
        where the steps are others.
        """
        if envelope.key_id != self.key_id:
            raise KeyRefusedError(
                f"the envelope must be opened with the key that sealed it, {envelope.key_id}",
                got=f"key {self.key_id or 'none'}",
                fix=f"ask its owner for key {envelope.key_id}",
            )
        if envelope.steps != self.steps:
            raise DataError(
                f"the envelope must be of steps {', '.join(self.steps)}",
                got=f"lock {envelope.lock}, steps {', '.join(envelope.steps)}",
                fix="name the lock, or the model, that it was sealed for",
            )
        plain: NDArray[np.uint8] = self.transform.decrypt(envelope.values[None])[0]
        return plain
