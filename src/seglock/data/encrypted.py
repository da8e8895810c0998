"""The encrypted split of a lock: a 32-byte nonce, then an ``.npy`` file.

The nonce is derived from the secret key, so that the file's digest in ``dvc.lock`` is no oracle
with which to try the few plans of a small key space.
"""

from __future__ import annotations

import hmac
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from seglock.data.arrays import write_header
from seglock.errors import DataError
from seglock.files import PRIVATE, replacing
from seglock.foreign import open_plain

NONCE_SIZE = 32
_FIX = "run seglock data encrypt for this lock"


def write_encrypted(
    path: Path,
    images: np.ndarray,
    encrypt: Callable[[np.ndarray], np.ndarray],
    nonce: bytes,
    *,
    batch: int = 64,
) -> None:
    """Encrypt ``images`` (N, 3, S, S) uint8 batch by batch into ``path``, whole or not at all.

    ``encrypt`` keeps the shape and may change the type (int16 for FFX). The file has mode 0600:
    it is as secret as the key.

    >>> import tempfile
    >>> images = np.zeros((5, 3, 4, 4), dtype=np.uint8)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "test.enc")
    ...     write_encrypted(path, images, lambda plain: 255 - plain, nonce=bytes(32))
    ...     int(open_encrypted(path, nonce=bytes(32)).min())
    255
    """
    if len(nonce) != NONCE_SIZE:
        raise DataError(f"a nonce must have {NONCE_SIZE} bytes", got=str(len(nonce)))
    if not len(images):
        raise DataError("a split to encrypt must have images", got="none")
    with replacing(Path(path), mode=PRIVATE) as file:
        file.write(nonce)
        dtype: np.dtype | None = None
        for start in range(0, len(images), batch):
            plain = np.ascontiguousarray(images[start : start + batch])
            encrypted = np.ascontiguousarray(encrypt(plain))
            if encrypted.shape != plain.shape or encrypted.dtype != (dtype or encrypted.dtype):
                raise DataError(
                    "encrypting must keep the shape of a batch, and one type for all of them",
                    got=f"{encrypted.dtype} {encrypted.shape} from {plain.shape}",
                )
            if dtype is None:
                dtype = encrypted.dtype
                write_header(file, images.shape, dtype)
            file.write(encrypted.data)


def open_encrypted(path: Path, *, nonce: bytes | None = None) -> np.memmap[Any, np.dtype[Any]]:
    """Map an encrypted split read-only, (N, 3, S, S) uint8 or int16, without reading it.

    With ``nonce``, the file must begin with it. Raises DataError when the file is missing, cut
    off, or made with another key.
    """
    path = Path(path)
    try:
        with os.fdopen(open_plain(path), "rb") as file:
            own = file.read(NONCE_SIZE)
            if (version := np.lib.format.read_magic(file)) != (1, 0):
                raise ValueError(f"array format {version}")
            shape, fortran, dtype = np.lib.format.read_array_header_1_0(file)
            if fortran:
                raise ValueError("column order")
            offset = file.tell()
        size = path.stat().st_size
    except FileNotFoundError as error:
        raise DataError(f"{path} must exist", got="no such file", fix=_FIX) from error
    except (OSError, ValueError, EOFError) as error:
        raise _damaged(path, str(error)) from error
    expected = offset + int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    if size != expected or dtype.hasobject or not shape:
        raise _damaged(path, f"{size} bytes instead of {expected}")
    if nonce is not None and not hmac.compare_digest(own, nonce):
        raise DataError(
            f"{path} must be made with the key of this lock", got="another nonce", fix=_FIX
        )
    return np.memmap(path, dtype=dtype, mode="r", offset=offset, shape=shape)


def _damaged(path: Path, reason: str) -> DataError:
    return DataError(f"{path} must be as it was written", got=reason, fix=_FIX)
