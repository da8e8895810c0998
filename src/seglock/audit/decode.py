"""What a file may contain besides its bytes: pixels, arrays, members, text that spells bytes.

Each step yields buffers in which a secret would appear as plain bytes: values below 256 as one
byte each, larger ones as little-endian integers. Nothing is unpickled.
"""

from __future__ import annotations

import bz2
import contextlib
import io
import lzma
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator
from typing import IO, TYPE_CHECKING, Any, NamedTuple

import numpy as np

from seglock.audit.text import LEAST, packed, spelled
from seglock.normalisation import IMAGENET, Normalisation

if TYPE_CHECKING:
    from numpy.typing import NDArray

DEPTH = 4
MOST_BYTES = 1 << 30  # of what a member unpacks to, where it is not streamed
ENLARGEMENTS = (1, 2, 3, 4)  # whole factors by which a picture may have been enlarged
_NPY, _ZIP = b"\x93NUMPY", b"PK\x03\x04"
_PNG, _PNG_END = b"\x89PNG\r\n\x1a\n", b"IEND\xaeB`\x82"
_PICTURES = (b"\xff\xd8\xff", b"BM", b"GIF8", b"RIFF", b"II*\0", b"MM\0*")
COMPRESSED: dict[bytes, Callable[[], Any]] = {
    b"\x1f\x8b\x08": lambda: zlib.decompressobj(wbits=31),
    b"BZh": bz2.BZ2Decompressor,
    b"\xfd7zXZ\0": lzma.LZMADecompressor,
}
DAMAGED = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, OSError, EOFError, NotImplementedError,
           RuntimeError, ValueError)  # fmt: skip

Buffer = tuple[str, bytes]


class Scales(NamedTuple):
    """By what encrypted values may have been divided into 0..1, and then normalised."""

    tops: tuple[int, ...] = (255,)
    by: Normalisation = IMAGENET


USUAL = Scales()


def buffers(data: bytes, *, scales: Scales = USUAL, depth: int = DEPTH) -> Iterator[Buffer]:
    """``data`` itself, then everything found inside it, each with how it stood there."""
    yield "", data
    if depth == 0 or len(data) < LEAST:
        return
    for how, inner, nested in _inside(data, scales):
        for deeper, found in buffers(inner, scales=scales, depth=depth - 1 if nested else 0):
            yield f"{deeper} in {how}" if deeper else how, found


def _inside(data: bytes, scales: Scales) -> Iterator[tuple[str, bytes, bool]]:
    if data.startswith(_PICTURES):
        yield from (("a picture", found, False) for found in _picture(data, scales))
    for at in _places(data, _PNG):
        picture = data[at : data.find(_PNG_END, at) + len(_PNG_END)]
        yield from (("a picture", found, False) for found in _picture(picture, scales))
    file = io.BytesIO(data)
    for at in _places(data, _NPY):
        file.seek(at)
        yield from _npy(file, scales)
    for at in _places(data, _ZIP, most=1):
        yield from (("zip", member, True) for member in _zip_members(data[at:]))
    for magic, unpacker in COMPRESSED.items():
        for at in _places(data, magic) if magic[0] == 0x1F else [0] * data.startswith(magic):
            with contextlib.suppress(*DAMAGED):  # no such file after all
                yield (
                    "a compressed file",
                    unpacker().decompress(memoryview(data)[at:], MOST_BYTES),
                    True,
                )
    if data[8:9] == b"{" and int.from_bytes(data[:8], "little") < len(data):
        yield from _safetensors(data, scales)
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        yield "UTF-16", data.decode("utf-16", "ignore").encode(), True
    yield from spelled(data)


def _places(data: bytes, magic: bytes, most: int = 10_000) -> Iterator[int]:
    """Where ``magic`` stands, at the start or inside another file."""
    at = data.find(magic)
    while at >= 0 and most:
        yield at
        at, most = data.find(magic, at + len(magic)), most - 1


def _picture(data: bytes, scales: Scales) -> Iterator[bytes]:
    from PIL import Image

    with warnings.catch_warnings(), contextlib.suppress(Exception):  # damaged or no picture
        warnings.simplefilter("ignore")
        with Image.open(io.BytesIO(data)) as picture:
            own = np.asarray(picture)
            pixels = np.asarray(picture.convert("RGB"))
        for factor in ENLARGEMENTS:
            for phase in range(factor):
                yield np.ascontiguousarray(pixels[:, phase::factor]).tobytes()
        yield from _array(own, scales)


def _npy(file: IO[bytes], scales: Scales) -> Iterator[tuple[str, bytes, bool]]:
    with contextlib.suppress(ValueError, EOFError, OSError):
        array = np.load(file, allow_pickle=False)
        if array.dtype.kind in "US":
            yield "an array of text", "\n".join(map(str, array.ravel().tolist())).encode(), True
        yield from (("an array", found, False) for found in _array(array, scales))


def _safetensors(data: bytes, scales: Scales) -> Iterator[tuple[str, bytes, bool]]:
    from safetensors.numpy import load

    with contextlib.suppress(Exception):  # not safetensors after all, or a dtype NumPy lacks
        for array in load(data).values():
            yield from (("an array", found, False) for found in _array(array, scales))


def _zip_members(data: bytes) -> Iterator[bytes]:
    with contextlib.suppress(*DAMAGED), zipfile.ZipFile(io.BytesIO(data)) as archive:
        for info in archive.infolist():
            if info.file_size <= MOST_BYTES:
                with contextlib.suppress(*DAMAGED):  # one with a password, for example
                    yield archive.read(info)


def _array(array: NDArray[np.generic], scales: Scales) -> Iterator[bytes]:
    """An array's values as integers, undoing a division or a normalisation."""
    if array.dtype.kind not in "buif" or array.size < 6:
        return
    low, high = array.min(), array.max()
    if not (np.isfinite(low) and np.isfinite(high)):
        return
    if low < high and ((array == low) | (array == high)).all():
        yield (array == high).astype(np.uint8).tobytes()  # a mask, in whatever two values
    if array.dtype.kind in "bui":
        if array.dtype.itemsize > 1 or array.dtype.kind == "i":
            yield _integers(array)
        return
    values = array.astype(np.float32)
    if low >= 0 and high > 2:
        yield _integers(np.rint(values))
    elif low >= 0 and high <= 1:
        for scale in scales.tops:
            yield _integers(np.rint(values * np.float32(scale)))
    elif low > -3 and high < 15 and 3 in array.shape:
        yield from _denormalised(values, scales)


def _denormalised(values: NDArray[np.float32], scales: Scales) -> Iterator[bytes]:
    for axis in [axis for axis, size in enumerate(values.shape) if size == 3]:
        shape = [3 if a == axis else 1 for a in range(values.ndim)]
        mean, std = (np.asarray(part, np.float32).reshape(shape) for part in scales.by)
        shares = values * std + mean
        if shares.min() > -0.01 and shares.max() < 1.01:
            for scale in scales.tops:
                yield _integers(np.rint(shares * np.float32(scale)))


def _integers(array: NDArray[np.generic]) -> bytes:
    """Integers in C order, as ``packed`` writes them; values beyond 64 bits are none."""
    with np.errstate(invalid="ignore"):
        return packed(np.ascontiguousarray(array).astype(np.int64).view(np.uint64).ravel())
