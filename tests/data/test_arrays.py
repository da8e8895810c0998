"""Rows of mapped files are read ahead where they lie, and nowhere else."""

from __future__ import annotations

import mmap
from pathlib import Path

import numpy as np
import pytest

from seglock.data.arrays import read_ahead, row_writer

SHAPE = (9, 3, 50, 50)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """The parts of a map, from and to, that the system was asked to read."""
    parts: list[tuple[int, int]] = []

    class Recorded(mmap.mmap):
        def madvise(self, option: int, start: int, length: int) -> None:  # type: ignore[override]
            assert option == mmap.MADV_WILLNEED
            super().madvise(option, start, length)
            parts.append((start, start + length))

    monkeypatch.setattr("mmap.mmap", Recorded)
    return parts


def write(path: Path) -> np.ndarray:
    rows = np.random.default_rng(0).integers(0, 256, SHAPE, dtype=np.uint8)
    with row_writer(path, SHAPE) as write_row:
        for row in rows:
            write_row(row)
    return rows


def test_the_rows_asked_for_are_read_and_no_page_more(tmp_path: Path, asked: list) -> None:
    rows = write(tmp_path / "a.npy")
    mapped = np.load(tmp_path / "a.npy", mmap_mode="r")
    content = (tmp_path / "a.npy").read_bytes()
    read_ahead(mapped, np.array([8, 0, 3]))
    assert len(asked) == 3
    for (start, end), row in zip(asked, (0, 3, 8), strict=True):
        assert rows[row].tobytes() == content[start:end][-rows[row].nbytes :]
        assert end - start < rows[row].nbytes + mmap.PAGESIZE


def test_arrays_in_memory_have_nothing_to_read(tmp_path: Path, asked: list) -> None:
    rows = write(tmp_path / "a.npy")
    mapped = np.load(tmp_path / "a.npy", mmap_mode="r")
    for array in (rows, mapped[2:], np.array(mapped)):
        read_ahead(array, np.array([1]))
    assert asked == []
