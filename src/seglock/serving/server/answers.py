"""From the bodies of requests to the bodies of their answers: whole batches, in one thread."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from seglock.errors import SeglockError
from seglock.serving.server.limits import RequestError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from seglock.serving.description import Description
    from seglock.serving.runtime import LockedModel

_JPEG, _PNG = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True)
class Question:
    """One request: its body, and whether its key and steps must be the model's."""

    body: bytes
    check: bool


def answers(
    runtime: LockedModel, asked: Sequence[Question], tell: Callable[[int, float], None]
) -> list[bytes | Exception]:
    """For each request the PNG of its classes, or the RequestError that it gets.

    ``tell`` is given how many images the network was sent and how many seconds it took.
    """
    read = [_read(runtime.description, one) for one in asked]
    images = [values for values in read if not isinstance(values, Exception)]
    if not images:
        return [one for one in read if isinstance(one, Exception)]
    start = time.perf_counter()
    classes = iter(runtime.predict(np.stack(images)))
    tell(len(images), time.perf_counter() - start)
    return [one if isinstance(one, Exception) else _png(next(classes)) for one in read]


def _read(about: Description, asked: Question) -> NDArray[Any] | Exception:
    try:
        return _values(about, asked)
    except RequestError as refusal:
        return refusal


def _values(about: Description, asked: Question) -> NDArray[Any]:
    """(3, S, S) of the description's dtype. No word of a body is quoted: sizes and types alone."""
    from seglock.serving.envelope import decode

    side = about.image_side
    if not asked.body.startswith(_PNG):
        lossy = asked.body.startswith(_JPEG)
        raise RequestError(
            415, "a body must be one envelope, a PNG as `seglock encrypt` writes it",
            got="a JPEG, which has lost the encrypted values" if lossy else "no PNG",
            fix="send the envelope itself, not a copy that was saved again",
        )  # fmt: skip
    try:
        envelope = decode(asked.body, most_pixels=side * side)
    except SeglockError as error:
        raise RequestError(400, error.rule, got=error.got, fix=error.fix) from None
    if asked.check:
        _agree("steps", ", ".join(about.steps), ", ".join(envelope.steps))
        _agree("key id", about.key_id or "", envelope.key_id or "")
    if envelope.values.shape != (3, side, side) or envelope.values.dtype != about.dtype:
        raise RequestError(
            422, f"an image for this model must be (3, {side}, {side}) of {about.dtype}",
            got=f"{envelope.values.shape} of {envelope.values.dtype}",
            fix="encrypt it for this model: GET /description says how",
        )  # fmt: skip
    return envelope.values


def _agree(what: str, ours: str, theirs: str) -> None:
    if ours != theirs:
        raise RequestError(
            409, f"the envelope's {what} must be the model's: {ours or 'none'}", got="another",
            fix="encrypt under the model's lock and key, or send `?check=no`",
        )  # fmt: skip


def _png(classes: NDArray[np.uint8]) -> bytes:
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(classes).save(file, "PNG", compress_level=1)
    return file.getvalue()
