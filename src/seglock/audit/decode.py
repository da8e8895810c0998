"""What a file may contain besides its bytes: pixels, arrays, members, base64. Nothing is unpickled.

Each step yields buffers in which encrypted values would appear as plain bytes: uint8 values as one
byte, FFX's 0..999 as little-endian int16.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import gzip
import io
import re
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

DEPTH = 4
MOST_BYTES = 1 << 30  # a member that unpacks to more is skipped
ENLARGEMENTS = (1, 2, 3, 4)  # whole factors by which a picture may have been enlarged
_BASE64 = re.compile(rb"[A-Za-z0-9+/_-]{160,}={0,2}")
_PICTURES = (b"\x89PNG", b"\xff\xd8\xff", b"BM", b"GIF8", b"RIFF", b"II*\0", b"MM\0*")


def buffers(
    data: bytes, *, scales: tuple[int, ...] = (255,), depth: int = DEPTH
) -> Iterator[bytes]:
    """``data`` itself, then everything found inside it.

    ``scales`` are the maxima by which encrypted values may have been divided into 0..1.
    """
    yield data
    if depth == 0 or len(data) < 16:
        return
    if data.startswith(_PICTURES):
        yield from _picture(data)
    elif data.startswith(b"\x93NUMPY") or data[32:38] == b"\x93NUMPY":
        yield from _npy(data, scales)
    elif data.startswith(b"PK\x03\x04"):
        for member in _zip_members(data):
            yield from buffers(member, scales=scales, depth=depth - 1)
    elif data.startswith(b"\x1f\x8b"):
        with contextlib.suppress(OSError, EOFError, zlib.error):
            with gzip.GzipFile(fileobj=io.BytesIO(data)) as file:
                unpacked = file.read(MOST_BYTES)
            yield from buffers(unpacked, scales=scales, depth=depth - 1)
    elif _looks_like_safetensors(data):
        yield from _safetensors(data, scales)
    elif b"\0" not in data[:8192]:
        for found in _BASE64.finditer(data):
            if (inner := _from_base64(found[0])) is not None:
                yield from buffers(inner, scales=scales, depth=depth - 1)


def _picture(data: bytes) -> Iterator[bytes]:
    import numpy as np
    from PIL import Image

    with warnings.catch_warnings(), contextlib.suppress(Exception):  # damaged or no picture
        warnings.simplefilter("ignore")
        with Image.open(io.BytesIO(data)) as picture:
            pixels = np.asarray(picture.convert("RGB"))
        for factor in ENLARGEMENTS:
            for phase in range(factor):
                yield np.ascontiguousarray(pixels[:, phase::factor]).tobytes()


def _npy(data: bytes, scales: tuple[int, ...]) -> Iterator[bytes]:
    import numpy as np

    start = 0 if data.startswith(b"\x93NUMPY") else 32
    with contextlib.suppress(ValueError, EOFError, OSError):
        yield from _array(np.load(io.BytesIO(data[start:]), allow_pickle=False), scales)


def _safetensors(data: bytes, scales: tuple[int, ...]) -> Iterator[bytes]:
    from safetensors.numpy import load

    with contextlib.suppress(Exception):  # not safetensors after all, or a dtype NumPy lacks
        for array in load(data).values():
            yield from _array(array, scales)


def _looks_like_safetensors(data: bytes) -> bool:
    return data[8:9] == b"{" and int.from_bytes(data[:8], "little") < len(data)


def _zip_members(data: bytes) -> Iterator[bytes]:
    damaged = (zipfile.BadZipFile, OSError, zlib.error, NotImplementedError)
    with contextlib.suppress(*damaged), zipfile.ZipFile(io.BytesIO(data)) as archive:
        for info in archive.infolist():
            if info.file_size <= MOST_BYTES:
                with contextlib.suppress(RuntimeError):  # a member with a password
                    yield archive.read(info)


def _from_base64(text: bytes) -> bytes | None:
    text = text.replace(b"-", b"+").replace(b"_", b"/").rstrip(b"=")
    text = text[: len(text) - (len(text) % 4 == 1)]
    try:
        return base64.b64decode(text + b"=" * (-len(text) % 4))
    except (binascii.Error, ValueError):
        return None


def _array(array: np.ndarray, scales: tuple[int, ...]) -> Iterator[bytes]:
    """An array's values as uint8 and as int16, undoing a division or a normalisation."""
    import numpy as np

    if array.dtype.kind not in "uif" or array.size < 64:
        return
    if array.dtype.kind in "ui":
        yield from _integers(array)
        return
    values = array.astype(np.float32)
    if not np.isfinite(values).all():
        return
    low, high = float(values.min()), float(values.max())
    if low >= 0 and high > 2:
        yield from _integers(np.rint(values))
    elif low >= 0 and high <= 1:
        for scale in scales:
            yield from _integers(np.rint(values * np.float32(scale)))
    elif low > -3 and high < 15 and 3 in array.shape:
        yield from _denormalised(values, scales)


def _denormalised(values: np.ndarray, scales: tuple[int, ...]) -> Iterator[bytes]:
    import numpy as np

    from seglock.transforms import INPUT_MEAN, INPUT_STD

    for axis in [axis for axis, size in enumerate(values.shape) if size == 3]:
        shape = [3 if a == axis else 1 for a in range(values.ndim)]
        mean = np.asarray(INPUT_MEAN, np.float32).reshape(shape)
        std = np.asarray(INPUT_STD, np.float32).reshape(shape)
        shares = values * std + mean
        if shares.min() > -0.01 and shares.max() < 1.01:
            for scale in scales:
                yield from _integers(np.rint(shares * np.float32(scale)))


def _integers(array: np.ndarray) -> Iterator[bytes]:
    import numpy as np

    low, high = array.min(), array.max()
    if low >= 0 and high <= 255:
        yield array.astype(np.uint8).tobytes()
    if low >= 0 and high <= 999:
        yield array.astype("<i2").tobytes()
