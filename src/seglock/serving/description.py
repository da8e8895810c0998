"""What a package says of its locked model: all of it public."""

from __future__ import annotations

from typing import Any, Final, Literal, Self

from pydantic import ValidationError

from seglock.config.section import Section
from seglock.errors import ModelError
from seglock.methods import FfxPassword

FORMAT: Final = 1
NAME = "description.json"


class Description(Section):
    """One locked model, as ``description.json`` and the metadata of weights and ONNX files have it.

    ``key`` is the public record of the key (id, Argon2id hash, created, derivation), None for a
    model without a lock. ``network`` names the builder and its options, as ``model`` of
    params.yaml. A server is sent integers (B, 3, ``image_side``, ``image_side``) of ``dtype``, and
    computes ``(value / divisor - mean) / std`` by channel.
    """

    format: Literal[1] = FORMAT
    seglock: str
    lock: str
    steps: tuple[str, ...]
    ffx_password: FfxPassword | None = None
    key: dict[str, str | int] | None
    network: dict[str, str | int | bool]
    classes: tuple[str, ...]
    image_side: int
    dtype: Literal["uint8", "int16"]
    divisor: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    data_digest: str
    weights_sha256: str

    @property
    def key_id(self) -> str | None:
        """The id of the key that inputs are to be encrypted under; None for a model without."""
        return None if self.key is None else str(self.key["id"])

    def to_json(self) -> str:
        """Compact JSON, the same for the same model."""
        return self.model_dump_json()

    @classmethod
    def from_json(cls, text: str | bytes, *, where: str) -> Self:
        """Read what `to_json` wrote; anything else is a ModelError that names ``where``."""
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            raise ModelError(
                f"{where} must be of a seglock package",
                got=_first(error.errors(include_url=False, include_input=False)),
                fix="make one with `seglock package --lock LOCK`",
            ) from None


def _first(faults: list[Any]) -> str:
    place = ".".join(map(str, faults[0]["loc"])) or "the whole"
    return f"{place}: {faults[0]['msg']}"
