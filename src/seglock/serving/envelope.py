"""What travels between client and server: one encrypted image as a PNG that tells of damage.

8-bit RGB for uint8; for int16 a 16-bit grey picture of the three channels, one below the other. A
text chunk holds the rest and a SHA-256 of it all. An envelope is as secret as the key.
"""

from __future__ import annotations

import hashlib
import io
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from seglock.config.section import Section
from seglock.errors import DataError
from seglock.methods.ffx import FFX_RANGE

CHUNK: Final = "seglock"
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8\xff"
_LAYOUTS = {(8, 2): "uint8", (16, 0): "int16"}
"""PNG's bit depth and colour type (RGB, grey) for each type of values."""
_KINDS = {b"IHDR", b"tEXt", b"IDAT", b"IEND"}
_MOST_TEXT = 1 << 16
_RULE = "an envelope must be a PNG as `seglock encrypt` and seglock's client make them"
_WHOLE = "send the file itself: no program may have opened and saved it"


@dataclass(frozen=True, eq=False)
class Envelope:
    """One encrypted image with the public part of its lock.

    values: (3, S, S), uint8 or, for locks with FFX, int16 in 0..999. key_id: the public id of the
    key. photo_size: (width, height) of the photo before it was resized, for bringing a mask back.
    """

    values: NDArray[Any] = field(repr=False)
    key_id: str
    lock: str
    steps: tuple[str, ...]
    photo_size: tuple[int, int] | None = None


class _About(Section):
    """The text chunk; ``sha256`` is of all else in it and the values."""

    format: Literal[1] = 1
    shape: tuple[int, int, int]
    dtype: Literal["uint8", "int16"]
    lock: str
    steps: tuple[str, ...]
    key_id: str
    photo_size: tuple[int, int] | None
    sha256: str = ""


def encode(envelope: Envelope) -> bytes:
    """The envelope as a PNG file. Raises DataError for values of another shape, type or range.

    >>> sent = Envelope(np.zeros((3, 2, 2), np.uint8), "0" * 16, "np-2", ("np-2",), (640, 480))
    >>> decode(encode(sent), most_pixels=4).photo_size
    (640, 480)
    """
    values = envelope.values
    shape, dtype = values.shape, values.dtype.name
    if len(shape) != 3 or shape[0] != 3 or shape[1] != shape[2] or not values.size:
        raise DataError("an envelope holds one image (3, S, S)", got=shape)
    if dtype not in _LAYOUTS.values():
        raise DataError("an envelope holds uint8 or int16", got=dtype)
    _check_range(values)
    about = _About(
        shape=(3, shape[1], shape[2]),
        dtype="uint8" if dtype == "uint8" else "int16",
        lock=envelope.lock,
        steps=envelope.steps,
        key_id=envelope.key_id,
        photo_size=envelope.photo_size,
    )
    about = about.model_copy(update={"sha256": _digest(about, values)})
    return _png(values, f"{CHUNK}\0{about.model_dump_json(ensure_ascii=True)}".encode("ascii"))


def decode(content: bytes, *, most_pixels: int) -> Envelope:
    """Read what `encode` made.

    ``most_pixels``: S * S at most; what the file declares is looked at before anything is
    decompressed. Raises DataError for all else: a JPEG, another PNG, a larger or damaged one.
    """
    from PIL import Image

    about = _about(content, most_pixels)
    try:
        with Image.open(io.BytesIO(content), formats=("PNG",)) as picture:
            pixels = np.asarray(picture)
    except Exception as error:  # decoders meet damaged bytes with errors of every kind
        raise _damaged("pixels that cannot be read") from error
    if about.dtype == "uint8":
        values = np.ascontiguousarray(pixels.transpose(2, 0, 1))
    else:
        values = pixels.astype(np.uint16, copy=False).view(np.int16).reshape(about.shape)
    if _digest(about, values) != about.sha256:
        raise _damaged("other content than its SHA-256 tells of")
    _check_range(values)
    return Envelope(values, about.key_id, about.lock, about.steps, about.photo_size)


def _about(content: bytes, most_pixels: int) -> _About:
    """The text chunk, if the file's declared size and layout are as it says."""
    if content.startswith(_JPEG):
        raise DataError(_RULE, got="a JPEG, which is lossy", fix=_WHOLE)
    if not content.startswith(_SIGNATURE):
        raise DataError(_RULE, got=f"{len(content)} bytes that are none")
    head: tuple[int, ...] = ()
    text = b""
    for kind, body in _chunks(content):
        if kind == b"IHDR" and len(body) == 13:
            head = struct.unpack(">IIBBBBB", body)
        elif kind == b"tEXt" and body.startswith(CHUNK.encode() + b"\0"):
            text = body[len(CHUNK) + 1 :]
        elif kind not in _KINDS:
            raise DataError(_RULE, got="a PNG with other parts", fix=_WHOLE)
    if not head or not 0 < len(text) <= _MOST_TEXT:
        raise DataError(_RULE, got="a PNG without its description", fix=_WHOLE)
    width, height, *layout, _, _, interlaced = head
    dtype = _LAYOUTS.get((layout[0], layout[1]))
    side = height if dtype == "uint8" else height // 3
    if width * side > most_pixels:
        raise DataError(
            f"an envelope must have at most {most_pixels} pixels", got=f"{width}x{side}"
        )
    try:
        about = _About.model_validate_json(text)
    except ValidationError:
        raise DataError(_RULE, got="a description that cannot be read", fix=_WHOLE) from None
    lines = height if dtype == "uint8" else height / 3
    if (dtype, 3, lines, width) != (about.dtype, *about.shape) or width != side or interlaced:
        raise _damaged("another shape than its description tells of")
    return about


def _chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Each part of a PNG by its kind, up to IEND, after which nothing may follow."""
    place, kind = len(_SIGNATURE), b""
    while kind != b"IEND":
        if place + 12 > len(content):
            raise _damaged("an end in the middle")
        length, kind = struct.unpack_from(">I4s", content, place)
        yield kind, content[place + 8 : place + 8 + min(length, _MOST_TEXT + 16)]
        place += length + 12
    if place != len(content):
        raise _damaged("an end in the middle" if place > len(content) else "more after its end")


def _png(values: NDArray[Any], text: bytes) -> bytes:
    """The picture of the values, neither filtered nor packed: what is encrypted becomes hardly
    smaller, and Pillow's writer, which tries filters on every row, takes ten times as long."""
    if values.dtype == np.uint8:
        layout, pixels = (8, 2), values.transpose(1, 2, 0)
    else:
        layout, pixels = (16, 0), values.astype(">u2").reshape(-1, values.shape[2]).view(np.uint8)
    width, height = values.shape[2], len(pixels)
    rows = np.zeros((height, 1 + pixels.size // height), np.uint8)  # each begins with 0: no filter
    rows[:, 1:] = pixels.reshape(height, -1)
    parts = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, *layout, 0, 0, 0)),
        (b"tEXt", text),
        (b"IDAT", zlib.compress(rows.data, 0)),
        (b"IEND", b""),
    )
    return _SIGNATURE + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in parts
    )


def _digest(about: _About, values: NDArray[Any]) -> str:
    told = about.model_copy(update={"sha256": ""}).model_dump_json(ensure_ascii=True)
    little = np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("<"))
    return hashlib.sha256(told.encode() + b"\0" + little.data).hexdigest()


def _check_range(values: NDArray[Any]) -> None:
    if values.dtype == np.int16 and not 0 <= values.min() <= values.max() < FFX_RANGE:
        raise DataError(
            f"an envelope's values must lie in 0..{FFX_RANGE - 1}",
            got=f"{values.min()} to {values.max()}",
        )


def _damaged(what: str) -> DataError:
    return DataError("an envelope must arrive as it was made", got=what, fix=_WHOLE)
