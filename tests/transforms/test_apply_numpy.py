"""The CPU kernel beyond the contract: threads, tiles, sizes, and values that cannot be."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from seglock.errors import TransformError
from seglock.keys import SecretKey
from seglock.transforms import apply_compiled, compose
from seglock.transforms.recipe import Lookup

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
@pytest.mark.parametrize("compiled", [False, True])
def test_impossible_values_are_counted(
    steps: list[str], shape: tuple[int, ...], compiled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(apply_compiled, "WORTH_IT", 0 if compiled else 1 << 60)
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
