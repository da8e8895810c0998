"""What every transform must do. A new method is tested by adding its steps to ``LOCKS``."""

from __future__ import annotations

import copy
import json
import pickle
import traceback
from collections.abc import Callable

import numpy as np
import pyffx
import pytest
import torch
from numpy.typing import NDArray

from seglock.errors import SeglockError, TransformError
from seglock.keys import SecretKey, derive_permutation
from seglock.normalisation import IMAGENET
from seglock.steps import parse_step
from seglock.transforms import (
    Transform,
    apply,
    apply_compiled,
    compose,
    incorrect_transforms,
)

KEY = SecretKey.from_bytes(bytes(range(32)))
WHOLE = 32  # the image side at which one block is the whole image
LOCKS: tuple[tuple[str, ...], ...] = (
    (),
    *((f"{method}-{m}",) for method in ("shf", "np", "ffx") for m in (1, 2, 4, 8, 16, WHOLE)),
    *((f"{method}-4-f{p}",) for method in ("shf", "np", "ffx") for p in (0, 1, 10, 25, 77, 100)),
    ("np-4", "shf-4"),
    ("shf-4", "np-4"),
    ("shf-2", "shf-2"),
    ("np-2", "np-2-f25", "np-2"),
    ("np-4", "ffx-4"),
    ("shf-4", "ffx-4", "shf-4"),
    ("np-4", "shf-4", "np-4-f10", "ffx-4-f30", "shf-4-f50", "shf-4"),
    ("np-1", "shf-1", "ffx-1", "shf-1"),
)

Array = NDArray[np.generic]
every_lock = pytest.mark.parametrize("steps", LOCKS, ids=lambda steps: "+".join(steps) or "none")
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")


def images_for(steps: tuple[str, ...], batch: int = 3) -> NDArray[np.uint8]:
    """Noise, 32 x 48 where the blocks allow it: height and width must not be mixed up."""
    width = 32 if steps and parse_step(steps[0]).block_size == WHOLE else 48
    return np.random.default_rng(7).integers(0, 256, (batch, 3, 32, width), dtype=np.uint8)


def textbook(steps: tuple[str, ...], images: NDArray[np.uint8]) -> NDArray[np.float64]:
    """The paper's procedure, step by step: float, NHWC, split, flatten, transform, concatenate."""
    values = images.transpose(0, 2, 3, 1).astype(np.float64)
    read = [parse_step(name) for name in steps]
    parts = (f"{s.method}-{s.block_size}-{s.count}" for s in read)
    sequence = "+".join(f"{p}-from_key" if p.startswith("ffx") else p for p in parts)
    for position, step in enumerate(read):
        m, n, k = step.block_size, 3 * step.block_size**2, step.count
        use = f"{position}/{sequence}"
        full = step.method == "shf" and k == n
        chosen = derive_permutation(KEY, f"plan/positions/{use}", n)[:k]
        order = derive_permutation(KEY, f"plan/order/{use}", k) if k else None
        for image in values:
            for top in range(0, image.shape[0], m):
                for left in range(0, image.shape[1], m):
                    block = image[top : top + m, left : left + m].reshape(-1)  # a copy
                    if full:
                        block = block[order]
                    elif step.method == "shf" and k:
                        block[chosen] = block[chosen[order]]
                    elif step.method == "np":
                        block[chosen] = 255 - block[chosen]
                    else:
                        block[chosen] = ffx(f"plan/password/{use}", block[chosen])
                    image[top : top + m, left : left + m] = block.reshape(m, m, 3)
    return values.transpose(0, 3, 1, 2)


def ffx(use: str, values: NDArray[np.float64]) -> list[int]:
    table = FFX_TABLES.get(use)
    if table is None:
        cipher = pyffx.Integer(KEY.derive(use), length=3)
        table = FFX_TABLES[use] = [cipher.encrypt(value) for value in range(256)]
    return [table[int(value)] for value in values]


FFX_TABLES: dict[str, list[int]] = {}


@pytest.fixture
def transform(steps: tuple[str, ...]) -> Transform:
    return compose(steps, KEY)


@pytest.fixture
def accelerator(monkeypatch: pytest.MonkeyPatch) -> None:
    """Send CPU tensors through the accelerator's kernel."""
    monkeypatch.setattr(apply, "on_accelerator", lambda images: isinstance(images, torch.Tensor))


@every_lock
def test_equals_the_textbook(steps: tuple[str, ...], transform: Transform) -> None:
    images = images_for(steps, batch=1)
    assert np.array_equal(transform.encrypt(images), textbook(steps, images))


@every_lock
def test_round_trip(steps: tuple[str, ...], transform: Transform) -> None:
    images = images_for(steps)
    assert np.array_equal(transform.decrypt(transform.encrypt(images)), images)


@every_lock
def test_keeps_shape_and_names_its_dtype(steps: tuple[str, ...], transform: Transform) -> None:
    images = images_for(steps)
    encrypted = transform.encrypt(images)
    assert encrypted.shape == images.shape
    assert encrypted.dtype == transform.dtype_name
    assert transform.dtype_name == ("int16" if any("ffx" in s for s in steps) else "uint8")
    assert transform.decrypt(encrypted).dtype == np.uint8
    assert 0 <= encrypted.min() <= encrypted.max() <= transform.max_value
    tensor = transform.encrypt(torch.from_numpy(images))
    assert isinstance(tensor, torch.Tensor)
    assert tensor.device.type == "cpu"


@every_lock
def test_leaves_its_input_alone(steps: tuple[str, ...], transform: Transform) -> None:
    images = images_for(steps)
    before = images.copy()
    encrypted = transform.encrypt(images)
    kept = encrypted.copy()
    plain = transform.decrypt(encrypted)
    transform.to_input(images)
    transform.encrypted_to_input(encrypted)
    assert np.array_equal(images, before)
    assert np.array_equal(encrypted, kept)
    for result, given in ((encrypted, images), (plain, encrypted), (plain, images)):
        assert not np.shares_memory(result, given)


@every_lock
def test_images_do_not_depend_on_their_batch(steps: tuple[str, ...], transform: Transform) -> None:
    images = images_for(steps)
    together = transform.encrypt(images)
    alone = [transform.encrypt(images[i : i + 1]) for i in range(len(images))]
    assert np.array_equal(together, np.concatenate(alone))
    none = transform.encrypt(images[:0])
    assert none.shape == images[:0].shape
    assert transform.decrypt(none).shape == images[:0].shape
    assert transform.to_input(images[:0]).shape == images[:0].shape


@every_lock
def test_blocks_do_not_depend_on_each_other(steps: tuple[str, ...], transform: Transform) -> None:
    images = images_for(steps, batch=1)
    m = transform.block_size
    top, left = 32 - m, m if images.shape[3] > m else 0
    changed = images.copy()
    changed[..., top : top + m, left : left + m] ^= 1
    differ = transform.encrypt(images) != transform.encrypt(changed)
    assert differ[..., top : top + m, left : left + m].all()
    differ[..., top : top + m, left : left + m] = False
    assert not differ.any()


@every_lock
def test_numpy_torch_and_channels_last_agree(steps: tuple[str, ...], transform: Transform) -> None:
    images = images_for(steps)
    expected, floats = transform.encrypt(images), transform.to_input(images)
    contiguous = torch.from_numpy(images)
    channels_last = contiguous.contiguous(memory_format=torch.channels_last)
    strided = torch.from_numpy(np.ascontiguousarray(images.transpose(0, 1, 3, 2))).mT
    for tensor in (contiguous, channels_last, strided):
        encrypted = transform.encrypt(tensor)
        assert np.array_equal(encrypted, expected)
        assert torch.equal(transform.decrypt(encrypted), contiguous)
        assert torch.equal(transform.to_input(tensor), floats)
    assert np.array_equal(transform.encrypt(np.asarray(channels_last)), expected)
    assert transform.encrypt(contiguous).is_contiguous()
    for result in (
        transform.encrypt(channels_last),
        transform.decrypt(transform.encrypt(channels_last)),
        transform.to_input(channels_last),
        transform.to_input(contiguous, memory_format=torch.channels_last),
    ):
        assert result.is_contiguous(memory_format=torch.channels_last)
    back = transform.to_input(channels_last, memory_format=torch.contiguous_format)
    assert back.is_contiguous()
    assert torch.equal(back, floats)


@every_lock
@pytest.mark.usefixtures("accelerator")
def test_the_accelerator_kernel_agrees(steps: tuple[str, ...], transform: Transform) -> None:
    images = images_for(steps)
    expected = transform.encrypt(images)
    floats = transform.to_input(images, dtype=torch.bfloat16)  # arrays still go through NumPy
    for layout in (torch.contiguous_format, torch.channels_last):
        tensor = torch.from_numpy(images).contiguous(memory_format=layout)
        encrypted = transform.encrypt(tensor)
        assert np.array_equal(encrypted, expected)
        assert encrypted.is_contiguous(memory_format=layout)
        assert encrypted.data_ptr() != tensor.data_ptr()
        assert np.array_equal(transform.decrypt(encrypted), images)
        for write in (torch.contiguous_format, torch.channels_last):
            made = transform.to_input(tensor, dtype=torch.bfloat16, memory_format=write)
            assert torch.equal(made, floats)
            assert made.is_contiguous(memory_format=write)
            made = transform.encrypted_to_input(
                encrypted, dtype=torch.bfloat16, memory_format=write
            )
            assert torch.equal(made, floats)
            assert made.is_contiguous(memory_format=write)


@every_lock
def test_the_compiled_kernel_agrees(
    steps: tuple[str, ...], transform: Transform, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = images_for(steps)
    expected = transform.encrypt(images)
    floats = transform.to_input(images)
    halves = transform.to_input(images, dtype=torch.bfloat16)
    monkeypatch.setattr(apply_compiled, "WORTH_IT", 0)
    for layout in (torch.contiguous_format, torch.channels_last):
        tensor = torch.from_numpy(images).contiguous(memory_format=layout)
        encrypted = transform.encrypt(tensor)
        assert np.array_equal(encrypted, expected)
        assert encrypted.is_contiguous(memory_format=layout)
        assert np.array_equal(transform.decrypt(encrypted), images)
        for write in (torch.contiguous_format, torch.channels_last):
            assert torch.equal(transform.to_input(tensor, memory_format=write), floats)
            made = transform.encrypted_to_input(
                encrypted, dtype=torch.bfloat16, memory_format=write
            )
            assert torch.equal(made, halves)


@pytest.mark.gpu
@needs_gpu
@every_lock
def test_cuda_gives_the_same_bits(steps: tuple[str, ...], transform: Transform) -> None:
    images = images_for(steps)
    for layout in (torch.contiguous_format, torch.channels_last):
        tensor = torch.from_numpy(images).cuda().contiguous(memory_format=layout)
        encrypted = transform.encrypt(tensor)
        assert encrypted.is_cuda
        assert encrypted.is_contiguous(memory_format=layout)
        assert np.array_equal(encrypted.cpu(), transform.encrypt(images))
        assert torch.equal(transform.decrypt(encrypted), tensor)
        for dtype in (torch.float32, torch.bfloat16, torch.float16):
            expected = transform.to_input(images, dtype=dtype)
            assert torch.equal(transform.to_input(tensor, dtype=dtype).cpu(), expected)
            assert torch.equal(transform.encrypted_to_input(encrypted, dtype=dtype).cpu(), expected)


@every_lock
def test_input_is_scaled_normalised_and_rounded_once(
    steps: tuple[str, ...], transform: Transform
) -> None:
    images = images_for(steps)
    encrypted = transform.encrypt(images)
    scaled = encrypted.astype(np.float64) / transform.max_value
    mean, std = (np.array(numbers)[:, None, None] for numbers in IMAGENET)
    exact = (scaled - mean) / std
    for dtype, name in (
        (None, "float32"),
        (torch.float64, "float64"),
        (torch.float16, "float16"),
    ):
        made = transform.to_input(images, dtype=dtype)
        assert np.array_equal(made.numpy(), exact.astype(name))
        assert torch.equal(transform.encrypted_to_input(encrypted, dtype=dtype), made)


@every_lock
def test_same_key_same_plan(steps: tuple[str, ...], transform: Transform) -> None:
    again = compose(steps, SecretKey.from_bytes(bytes(range(32))))
    assert again.same_plan(transform)
    images = images_for(steps)
    assert np.array_equal(again.encrypt(images), transform.encrypt(images))


@pytest.mark.parametrize("steps", [lock for lock in LOCKS if compose(lock, KEY).key_space_bits > 0])
def test_other_key_other_plan(steps: tuple[str, ...]) -> None:
    right = compose(steps, KEY)
    for wrong in incorrect_transforms(steps, KEY, 4):
        assert not wrong.same_plan(right)
        assert not right.same_plan(wrong)
        images = images_for(steps)
        assert not np.array_equal(wrong.encrypt(images), right.encrypt(images))
    if right.key_space_bits > 40:
        assert not compose(steps, KEY.wrong(0)).same_plan(right)


LEAKS: dict[str, Callable[[Transform], object]] = {
    "pickle": pickle.dumps,
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "state": lambda transform: transform.__getstate__(),
    "json": json.dumps,
    "vars": vars,
}


@every_lock
@pytest.mark.parametrize("way", LEAKS)
def test_refuses_to_be_written(steps: tuple[str, ...], transform: Transform, way: str) -> None:
    with pytest.raises((SeglockError, TypeError)):
        LEAKS[way](transform)


@every_lock
def test_prints_its_steps_only(steps: tuple[str, ...], transform: Transform) -> None:
    shown = f"Transform([{', '.join(steps)}])"
    assert repr(transform) == str(transform) == f"{transform}" == f"{transform!r:s}" == shown


@every_lock
def test_an_error_with_locals_shows_no_plan(steps: tuple[str, ...], transform: Transform) -> None:
    plan = transform._plan
    secrets = [str(plan.permutation), repr(plan.permutation), repr(plan.selector)]
    secrets += [repr(table) for table in plan.tables]
    damaged = np.full(images_for(steps).shape, -1, dtype=np.int16)
    for work in (transform.decrypt, transform.encrypt, transform.encrypted_to_input):
        text = traceback_with_locals(work, damaged)
        assert "TransformError" in text
        assert not [secret for secret in secrets if secret in text]


def traceback_with_locals(work: Callable[[Array], object], images: Array) -> str:
    """In a frame of its own: the locals of the test itself are the secrets."""
    try:
        work(images)
    except TransformError as error:
        told = traceback.TracebackException.from_exception(error, capture_locals=True)
        return "".join(told.format())
    return "accepted"
