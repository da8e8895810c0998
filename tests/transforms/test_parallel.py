"""Tiles cover every value once, on the number of threads that the machine gives."""

from __future__ import annotations

import numpy as np
import pytest

from seglock.transforms import parallel


@pytest.mark.parametrize(
    ("told", "cores", "threads"),
    [("3", 8, 3), ("", 2, 2), ("many", 2, 2), ("0", 2, 2), ("", 99, 16)],
)
def test_thread_count(told: str, cores: int, threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", told)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(cores)), raising=False)
    assert parallel.thread_count() == threads


@pytest.mark.parametrize("shape", [(0, 12), (1, 12), (7, 12), (3, 100), (2, 1)])
@pytest.mark.parametrize("size", [1, 30, 1000])
def test_tiles_cover_every_value_once(
    shape: tuple[int, int], size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    seen = np.zeros(shape, dtype=int)

    def work(parts: list[parallel.Tile]) -> None:
        for part in parts:
            assert seen[part].size <= size
            seen[part] += 1

    parallel.run_tiles(work, shape, size)
    assert (seen == 1).all()
