from __future__ import annotations

import errno
import math
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seglock.data import open_encrypted, write_encrypted
from seglock.data.arrays import write_header
from seglock.errors import DataError, StorageError
from tests.data.conftest import machine_memory

NONCE = bytes(range(32))
IMAGES = np.random.default_rng(0).integers(0, 256, (7, 3, 8, 8), dtype=np.uint8)


def _wide(images: np.ndarray) -> np.ndarray:
    return images.astype(np.int16) * 3 + 1


def _negative(images: np.ndarray) -> np.ndarray:
    return 255 - images


@settings(max_examples=20)
@given(count=st.integers(1, 9), batch=st.integers(1, 10), wide=st.booleans())
def test_round_trip(tmp_path_factory, count: int, batch: int, wide: bool) -> None:
    path = tmp_path_factory.mktemp("enc") / "lock" / "test.enc"
    images = np.resize(IMAGES, (count, 3, 8, 8))
    encrypt = _wide if wide else _negative
    write_encrypted(path, images, encrypt, NONCE, batch=batch)
    found = open_encrypted(path, nonce=NONCE)
    assert isinstance(found, np.memmap)
    np.testing.assert_array_equal(found, encrypt(images))
    assert found.dtype == (np.int16 if wide else np.uint8)


def test_the_file_is_a_nonce_and_an_npy_file(tmp_path: Path) -> None:
    write_encrypted(tmp_path / "a", IMAGES, _wide, NONCE)
    with (tmp_path / "a").open("rb") as file:
        assert file.read(32) == NONCE
        np.testing.assert_array_equal(np.load(file), _wide(IMAGES))
    assert {path.name for path in tmp_path.iterdir()} == {"a"}


def test_what_is_opened_cannot_be_written(tmp_path: Path) -> None:
    write_encrypted(tmp_path / "a", IMAGES, _negative, NONCE)
    with pytest.raises(ValueError, match="read-only"):
        open_encrypted(tmp_path / "a")[:] = 0


def test_a_split_may_be_larger_than_memory(tmp_path: Path) -> None:
    side = 4096
    shape = (2 * machine_memory() // (6 * side * side), 3, side, side)
    with (tmp_path / "a").open("wb") as file:  # holes: it takes no room
        file.write(NONCE)
        write_header(file, shape, np.dtype(np.int16))
        file.truncate(file.tell() + 2 * math.prod(shape))
    assert open_encrypted(tmp_path / "a", nonce=NONCE)[-1, -1, -1, -1] == 0


def test_another_key_is_noticed(tmp_path: Path) -> None:
    write_encrypted(tmp_path / "a", IMAGES, _negative, NONCE)
    open_encrypted(tmp_path / "a")
    with pytest.raises(DataError, match="must be made with the key of this lock") as caught:
        open_encrypted(tmp_path / "a", nonce=bytes(32))
    assert NONCE.hex() not in str(caught.value)


@pytest.mark.parametrize("keep", [0, 20, 40, 100, -1])
def test_truncated_files(tmp_path: Path, keep: int) -> None:
    write_encrypted(tmp_path / "a", IMAGES, _wide, NONCE)
    (tmp_path / "a").write_bytes((tmp_path / "a").read_bytes()[:keep])
    with pytest.raises(DataError, match="must be as it was written"):
        open_encrypted(tmp_path / "a", nonce=NONCE)


def test_other_files(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file; run seglock data encrypt"):
        open_encrypted(tmp_path / "a")
    (tmp_path / "a").write_bytes(bytes(4000))
    with pytest.raises(DataError, match="must be as it was written"):
        open_encrypted(tmp_path / "a")
    with (tmp_path / "a").open("wb") as file:
        file.write(NONCE)
        np.save(file, np.asfortranarray(np.arange(6).reshape(2, 3)))
    with pytest.raises(DataError, match="column order"):
        open_encrypted(tmp_path / "a")
    with (tmp_path / "a").open("ab") as file:
        file.write(b"more")
    write_encrypted(tmp_path / "a", IMAGES, _negative, NONCE)
    with (tmp_path / "a").open("ab") as file:
        file.write(b"more")
    with pytest.raises(DataError, match="bytes instead of"):
        open_encrypted(tmp_path / "a")


def test_a_failure_leaves_the_old_file(tmp_path: Path) -> None:
    write_encrypted(tmp_path / "a", IMAGES, _negative, NONCE)

    def full(images: np.ndarray) -> np.ndarray:
        if images[0, 0, 0, 0] == IMAGES[4, 0, 0, 0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        return images

    with pytest.raises(StorageError, match="no space left"):
        write_encrypted(tmp_path / "a", IMAGES, full, NONCE, batch=2)
    np.testing.assert_array_equal(open_encrypted(tmp_path / "a"), _negative(IMAGES))
    assert {path.name for path in tmp_path.iterdir()} == {"a"}


def test_misuse(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="a nonce must have 32 bytes, got 3"):
        write_encrypted(tmp_path / "a", IMAGES, _negative, b"abc")
    with pytest.raises(DataError, match="must have images"):
        write_encrypted(tmp_path / "a", IMAGES[:0], _negative, NONCE)
    with pytest.raises(DataError, match="must keep the shape"):
        write_encrypted(tmp_path / "a", IMAGES, lambda images: images[:, :1], NONCE)
    types = iter([np.uint8, np.int16])
    with pytest.raises(DataError, match="one type for all of them"):
        write_encrypted(tmp_path / "a", IMAGES, lambda i: i.astype(next(types)), NONCE, batch=4)
    assert not (tmp_path / "a").exists()


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "test.enc")
    with pytest.raises(DataError, match="no plain file"):
        open_encrypted(tmp_path / "test.enc")
