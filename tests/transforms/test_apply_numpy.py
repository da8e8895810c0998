"""The CPU kernel beyond the contract: threads, tiles, sizes, and values that cannot be."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from seglock.errors import TransformError
from seglock.keys import SecretKey
from seglock.transforms import apply_numpy, compose
from seglock.transforms.lookup import Lookup

KEY = SecretKey.from_bytes(bytes(range(32)))
LOCKS = (["shf-4"], ["np-4"], ["ffx-4"], ["np-4", "shf-4", "ffx-4", "shf-4"], [])


def noise(*shape: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)


@pytest.mark.parametrize("steps", LOCKS, ids="+".join)
@pytest.mark.parametrize("threads", ["1", "2", "5"])
@pytest.mark.parametrize("shape", [(400, 3, 32, 32), (3, 3, 512, 512), (1, 3, 1024, 512)])
def test_threads_and_tiles_change_nothing(
    steps: list[str], threads: str, shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    transform = compose(steps, KEY)
    images = noise(*shape)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    quarter = shape[2] // 4
    strips = [images[:, :, i * quarter : (i + 1) * quarter] for i in range(4)]
    expected = np.concatenate([transform.encrypt(strip) for strip in strips], axis=2)
    monkeypatch.setenv("OMP_NUM_THREADS", threads)
    encrypted = transform.encrypt(images)
    assert np.array_equal(encrypted, expected)
    assert np.array_equal(transform.decrypt(encrypted), images)


@pytest.mark.parametrize("steps", LOCKS, ids="+".join)
@pytest.mark.parametrize(("height", "width"), [(4, 4), (4, 12), (20, 4), (12, 36), (260, 4)])
def test_odd_numbers_of_blocks(steps: list[str], height: int, width: int) -> None:
    transform = compose(steps, KEY)
    images = noise(5, 3, height, width)
    encrypted = transform.encrypt(images)
    assert np.array_equal(transform.decrypt(encrypted), images)
    assert np.array_equal(encrypted[..., :4, :4], transform.encrypt(images[..., :4, :4].copy()))


def test_odd_numbers_of_values() -> None:
    images = noise(3, 3, 5, 7)
    for step in ("shf-1", "np-1", "ffx-1"):
        transform = compose([step], KEY)
        assert np.array_equal(transform.decrypt(transform.encrypt(images)), images)
        assert transform.to_input(images).shape == images.shape


@pytest.mark.parametrize("steps", [["ffx-4"], ["np-4", "ffx-4-f30", "shf-4"], ["ffx-4-f100"]])
@pytest.mark.parametrize("shape", [(2, 3, 8, 8), (9, 3, 256, 256)])
def test_impossible_values_are_counted(steps: list[str], shape: tuple[int, ...]) -> None:
    transform = compose(steps, KEY)
    plan = transform._plan
    possible = [set(plan.tables[row].tolist()) for row in plan.selector]
    encrypted = transform.encrypt(noise(*shape))
    rng = np.random.default_rng(2)
    damaged = encrypted.copy()
    damaged[..., ::3] = rng.integers(-50, 1200, damaged[..., ::3].shape, dtype=np.int16)
    damaged[0, 0, 0, :3] = (-32768, 32767, 1000)
    m = plan.block_size
    count = 0
    for value in range(plan.size):
        row, column, channel = value // (3 * m), value // 3 % m, value % 3
        here = damaged[:, channel, row::m, column::m]
        count += int((~np.isin(here, list(possible[value]))).sum())
    with pytest.raises(TransformError) as caught:
        transform.decrypt(damaged)
    assert caught.value.got == f"{count} impossible values"
    assert "decrypt with the key and steps" in str(caught.value)


def test_a_wrong_ffx_key_is_an_error_and_not_a_picture() -> None:
    encrypted = compose(["ffx-4"], KEY).encrypt(noise(2, 3, 64, 64))
    with pytest.raises(TransformError, match=r"got \d+ impossible values"):
        compose(["ffx-4"], KEY.wrong(0)).decrypt(encrypted)


@pytest.mark.parametrize("value", [-1, 1000, 32767])
def test_inputs_take_only_values_that_ffx_can_give(value: int) -> None:
    transform = compose(["ffx-4"], KEY)
    encrypted = transform.encrypt(noise(2, 3, 8, 8))
    transform.encrypted_to_input(encrypted)
    encrypted[1, 2, 3, 4] = value
    with pytest.raises(TransformError, match=r"lie in 0..999, got 1 values outside"):
        transform.encrypted_to_input(encrypted)


@pytest.mark.parametrize(
    ("told", "cores", "threads"),
    [("3", 8, 3), ("", 2, 2), ("many", 2, 2), ("0", 2, 2), ("", 99, 16)],
)
def test_thread_count(told: str, cores: int, threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", told)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(cores)), raising=False)
    assert apply_numpy.thread_count() == threads


@pytest.mark.parametrize(("tables", "width"), [(1, 256), (2, 1000), (40, 2000), (255, 256)])
def test_a_lookup_is_plain_indexing(tables: int, width: int) -> None:
    """Also beyond 65536 entries, where its indices need more than 16 bits."""
    rng = np.random.default_rng(3)
    values = rng.integers(0, width, (2, 500)).astype(np.int16)
    table = rng.integers(-(2**31), 2**31, (tables, width)).astype(np.int32)
    kinds = rng.integers(0, tables, 500).astype(np.uint8)
    lookup = Lookup(table, kinds)
    out = np.empty((2, 300), dtype=np.int32)
    lookup.apply(values[:, 100:400], slice(100, 400), out, lookup.scratch(1000))
    assert np.array_equal(out, table[kinds[None, 100:400], values[:, 100:400]])


@pytest.mark.parametrize("steps", [["ffx-4"], ["shf-4", "ffx-4"], ["np-4", "ffx-4-f100"]])
def test_pairs_change_nothing(steps: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    images = noise(5, 3, 256, 64)
    images[0, 0] = np.arange(256, dtype=np.uint8)[:, None]
    transform = compose(steps, KEY)
    one_by_one = transform.encrypt(images)
    monkeypatch.setattr(apply_numpy, "_WORTH_PAIRS", 0)
    looked = []
    monkeypatch.setattr(Lookup, "apply", counting(Lookup.apply, looked))
    for strided in (images, images.transpose(0, 2, 3, 1).copy().transpose(0, 3, 1, 2)):
        assert np.array_equal(transform.encrypt(strided), one_by_one)
    assert {dtype for dtype, _ in looked} == {np.dtype(np.uint16)}
    assert sum(size for _, size in looked) == images.size  # half of the values, in two layouts


def counting(apply: Any, looked: list[tuple[np.dtype[Any], int]]) -> Any:
    def counted(self: Lookup, values: Any, *rest: Any) -> None:
        looked.append((values.dtype, values.size))
        apply(self, values, *rest)

    return counted


def test_odd_images_and_wide_results_are_not_paired() -> None:
    kinds = np.arange(6, dtype=np.uint8) % 2
    tables = np.zeros((2, 256), dtype=np.int16)
    assert Lookup(tables, kinds).paired is not None
    assert Lookup(tables, kinds[:5]).paired is None
    assert Lookup(tables.astype(np.int32), kinds).paired is None
    assert Lookup(np.zeros((2, 1000), dtype=np.int16), kinds).paired is None
    many = np.arange(12, dtype=np.uint8)
    assert Lookup(np.zeros((12, 256), dtype=np.int16), many).paired is None


def test_arrays_need_no_torch() -> None:
    code = (
        "import sys, numpy as np\n"
        "from seglock import compose, SecretKey\n"
        "t = compose(['np-2', 'ffx-2', 'shf-2'], SecretKey.from_bytes(bytes(range(32))))\n"
        "x = np.arange(48, dtype=np.uint8).reshape(1, 3, 4, 4)\n"
        "assert (t.decrypt(t.encrypt(x)) == x).all()\n"
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], text=True, capture_output=True, check=True)
    assert done.stdout.strip() == "False"
