"""What is known of `fugokidi/block_transform`, the classification code of the paper's authors: its
transforms, as facts and as frozen vectors, beside ours."""

from __future__ import annotations

import hashlib

import numpy as np
import pyffx
import pytest
import torch
from numpy.typing import NDArray

from seglock.errors import TransformError
from seglock.plans import block_transform
from seglock.transforms import build_transform
from tests.contracts.test_transforms import KEY, images_for

SEEDS = (0, 42, 2**32 + 1)
SIDES = (1, 2, 3, 4, 8)

ORDERS = {
    0: [8, 0, 5, 9, 7, 4, 2, 10, 3, 1, 11, 6],
    42: [6, 8, 1, 7, 0, 2, 10, 11, 4, 3, 5, 9],
}
"""``torch.manual_seed(seed); torch.randperm(12)``."""

FROZEN = {
    ("shf", 2, 0): "a055539fb2916ec9",
    ("shf", 4, 42): "5037e83836d000be",
    ("shf", 8, 1234): "42ac4e0129b7fd57",
    ("shf", 16, 42): "894305a122a9dfcb",
    ("np", 2, 0): "c157b6951e3e86dd",
    ("np", 4, 42): "b3f5d7079e5288cc",
    ("np", 8, 1234): "3761986ae957e4aa",
    ("np", 16, 42): "636e3ea142cce66a",
    ("ffx", 2, 0): "f16021b649e084e0",
    ("ffx", 4, 42): "a10b898e12e62f60",
    ("ffx", 8, 1234): "84558be9fea89b84",
    ("ffx", 16, 42): "c99c9cbc4bec7ea0",
}
"""SHA-256 of ``images_for(())`` encrypted, little-endian, first 16 hex digits."""


def drawn(side: int, seed: int) -> NDArray[np.int64]:
    """The key of that code, drawn the way it draws it."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        order: NDArray[np.int64] = torch.randperm(3 * side * side).numpy()
    return order


def foreign(method: str, side: int, seed: int, image: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Block by block: rows, columns, then channels; (3, H, W) in and out."""
    order = drawn(side, seed)
    cipher = pyffx.Integer(b"password", length=3)
    values = image.transpose(1, 2, 0).astype(np.int64)
    for top in range(0, values.shape[0], side):
        for left in range(0, values.shape[1], side):
            x = values[top : top + side, left : left + side].reshape(-1).tolist()
            n = len(x)
            if method == "shf":
                y = [x[order[i]] for i in range(n)]
            elif method == "np":
                y = [255 - x[i] if order[i] > n / 2 else x[i] for i in range(n)]
            else:
                y = [cipher.encrypt(x[i]) if order[i] > n / 2 else x[i] for i in range(n)]
            block = np.array(y).reshape(side, side, 3)
            values[top : top + side, left : left + side] = block
    return values.transpose(2, 0, 1)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("method", ["shf", "np", "ffx"])
def test_it_is_what_that_code_does(method: str, side: int, seed: int) -> None:
    image = images_for(())[:1, :, : 2 * side, : 3 * side]
    ours = block_transform(method, side, seed)
    encrypted = ours.encrypt(image)
    assert np.array_equal(encrypted[0], foreign(method, side, seed, image[0]))
    assert encrypted.dtype == ("int16" if method == "ffx" else "uint8")
    assert np.array_equal(ours.decrypt(encrypted), image)
    assert ours.max_value == (996 if method == "ffx" else 255)


@pytest.mark.parametrize(("seed", "order"), ORDERS.items())
def test_known_orders(seed: int, order: list[int]) -> None:
    assert drawn(2, seed).tolist() == order
    block = np.arange(12, dtype=np.uint8).reshape(1, 2, 2, 3).transpose(0, 3, 1, 2)
    shuffled = block_transform("shf", 2, seed).encrypt(np.ascontiguousarray(block))
    assert shuffled.transpose(0, 2, 3, 1).reshape(-1).tolist() == order


def textbook(size: int, seed: int) -> list[int]:
    """Without torch: Fisher and Yates' shuffle over MT19937, of the seed's lower 32 bits."""
    words = np.random.RandomState(seed % 2**32)  # MT19937, seeded as it ever was
    order = list(range(size))
    for place in range(size - 1):
        other = place + int(words.randint(1 << 32, dtype=np.uint32)) % (size - place)
        order[place], order[other] = order[other], order[place]
    return order


@pytest.mark.parametrize("seed", SEEDS)
def test_torch_draws_as_it_did_when_those_models_were_trained(seed: int) -> None:
    assert textbook(10, 0) == [4, 1, 7, 5, 3, 9, 0, 8, 6, 2]  # randperm(10), known for years
    for side in (2, 4, 64):
        assert drawn(side, seed).tolist() == textbook(3 * side * side, seed)


def test_of_a_seed_only_32_bits_count() -> None:
    assert block_transform("np", 8, 2**32 + 1).same_plan(block_transform("np", 8, 1))


@pytest.mark.parametrize(("lock", "digest"), FROZEN.items(), ids=str)
def test_frozen_vectors(lock: tuple[str, int, int], digest: str) -> None:
    encrypted = block_transform(*lock).encrypt(images_for(()))
    little = encrypted.astype(encrypted.dtype.newbyteorder("<"))
    assert hashlib.sha256(little.tobytes()).hexdigest()[:16] == digest


@pytest.mark.parametrize(("side", "touched"), [(2, 5), (4, 23), (8, 95), (1, 1), (3, 13)])
def test_its_share_is_less_than_half(side: int, touched: int) -> None:
    for method in ("np", "ffx"):
        ours = block_transform(method, side, 7)
        (step,) = ours.steps
        assert step.count == touched
        white = np.full((1, 3, side, side), 255, dtype=np.uint8)
        assert (ours.encrypt(white) != 255).sum() == touched


def test_the_table_is_that_of_the_fixed_password() -> None:
    plans = block_transform("ffx", 4, 1)._plan, build_transform("ffx", 4, KEY, None, "fixed")._plan
    assert np.array_equal(plans[0].tables, plans[1].tables)
    assert block_transform("ffx", 4, 1).ffx_password == "fixed"


def test_no_global_random_state_is_touched() -> None:
    before = torch.get_rng_state()
    block_transform("np", 4, 3)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("method", "side", "seed", "says"),
    [
        ("np-4", 4, 0, "method must be one of shf, np, ffx, got 'np-4'"),
        ("", 4, 0, "method must be one of"),
        ("np", 0, 0, "block_size must be a whole number of at least 1, got 0"),
        ("np", True, 0, "block_size must be"),
        ("np", 4, -1, "seed must be a whole number from 0 to 2"),
        ("shf", 4, 2**64, "seed must be"),
        ("shf", 4, 1.0, "seed must be"),
        ("shf", 4, True, "seed must be"),
        ("ffx", 4, "hunter2", "seed must be"),
    ],
)
def test_bad_input(method: str, side: int, seed: object, says: str) -> None:
    with pytest.raises(TransformError, match=says) as caught:
        block_transform(method, side, seed)  # type: ignore[arg-type]
    assert "hunter2" not in str(caught.value)
