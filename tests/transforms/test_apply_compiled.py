"""The compiled kernel beyond the contract: when it is used, how it is kept, and large batches."""

from __future__ import annotations

import multiprocessing
import subprocess
import sys

import numpy as np
import pytest

from seglock.keys import SecretKey
from seglock.transforms import apply_compiled, apply_numpy, compose
from seglock.transforms.fused import fuse
from seglock.transforms.layout import Shape
from seglock.transforms.recipe import prepare

KEY = SecretKey.from_bytes(bytes(range(32)))
LOCKS = (["shf-4"], ["np-4", "shf-4"], ["ffx-4"], ["np-4", "shf-4", "ffx-4", "shf-4"])


def noise(*shape: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)


@pytest.mark.parametrize("steps", LOCKS, ids="+".join)
@pytest.mark.parametrize("threads", ["1", "3"])
@pytest.mark.parametrize("shape", [(5, 3, 256, 256), (1, 3, 512, 512), (0, 3, 8, 8)])
def test_threads_and_tiles_change_nothing(
    steps: list[str], threads: str, shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    transform, images = compose(steps, KEY), noise(*shape)
    expected, floats = transform.encrypt(images), transform.to_input(images)
    monkeypatch.setattr(apply_compiled, "WORTH_IT", 0)
    monkeypatch.setenv("OMP_NUM_THREADS", threads)
    assert np.array_equal(transform.encrypt(images), expected)
    assert np.array_equal(transform.decrypt(expected), images)
    assert transform.to_input(images).equal(floats)


@pytest.mark.parametrize("steps", LOCKS, ids="+".join)
def test_it_is_one_gather_and_one_table(steps: list[str]) -> None:
    plan, images = compose(steps, KEY)._plan, noise(2, 3 * 8 * 12)
    for work in ("encrypt", "to_input"):
        recipe = prepare(plan, work, Shape(8, 12, "nchw", "nhwc"), "float16")
        fused = fuse(recipe, images.shape[1])
        entry = (fused.words & 255) * fused.width + images[:, fused.words >> 8]
        assert np.array_equal(fused.table[entry], apply_numpy.apply(recipe, images))


def test_it_is_used_for_large_batches_of_images_it_can_address(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows = np.broadcast_to(np.uint8(0), (1 << 18, 48))
    shuffled = prepare(compose(["shf-4"], KEY)._plan, "encrypt", Shape(4, 4))
    flipped = prepare(compose(["np-4"], KEY)._plan, "encrypt", Shape(4, 4))
    assert apply_compiled.pays(shuffled, rows)
    assert not apply_compiled.pays(shuffled, rows[: 1 << 17])
    assert not apply_compiled.pays(flipped, rows)
    monkeypatch.setattr(apply_compiled, "LARGEST", 47)
    assert not apply_compiled.pays(shuffled, rows)


def test_a_few_images_do_not_wait_for_numba() -> None:
    code = (
        "import sys, numpy as np\n"
        "from seglock import compose, SecretKey\n"
        "t = compose(['np-2', 'ffx-2', 'shf-2'], SecretKey.from_bytes(bytes(range(32))))\n"
        "t.decrypt(t.encrypt(np.zeros((2, 3, 256, 256), np.uint8)))\n"
        "print('numba' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], text=True, capture_output=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize(("message", "raises"), [("cannot cache function", False), ("x", True)])
def test_where_nothing_can_be_kept_it_is_compiled_anew(
    message: str, raises: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    from numba.core.dispatcher import Dispatcher

    def enable_caching(self: object) -> None:
        raise RuntimeError(message)

    monkeypatch.setattr(Dispatcher, "enable_caching", enable_caching)
    make = apply_compiled.compiled.__wrapped__
    if raises:
        with pytest.raises(RuntimeError, match="x"):
            make(apply_compiled.move)
        return
    out = np.zeros((1, 3), dtype=np.uint8)
    make(apply_compiled.move)(
        np.array([[7, 8, 9]], dtype=np.uint8),
        np.array([2, 0, 1], dtype=np.uint32) << np.uint32(8),
        out[0],
        256,
        out,
        0,
    )
    assert out.tolist() == [[9, 7, 8]]


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # that it has threads
def test_a_forked_process_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a data loader's workers do after their parent has encrypted."""
    monkeypatch.setattr(apply_compiled, "WORTH_IT", 0)
    transform, images = compose(["ffx-4", "shf-4"], KEY), noise(8, 3, 64, 64)
    expected = transform.encrypt(images)
    forked = multiprocessing.get_context("fork")
    queue = forked.SimpleQueue()
    child = forked.Process(target=lambda: queue.put(transform.encrypt(images)))
    child.start()
    assert np.array_equal(queue.get(), expected)
    child.join(60)
    assert child.exitcode == 0
