"""The accelerator's kernel beyond the contract, on CPU tensors; with CUDA on the device itself."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch

from seglock.errors import TransformError
from seglock.keys import SecretKey
from seglock.transforms import apply, apply_torch, apply_triton, compose, identity
from seglock.transforms.layout import Shape
from seglock.transforms.recipe import prepare

KEY = SecretKey.from_bytes(bytes(range(32)))
STEPS = ["np-4", "ffx-4", "shf-4"]


@pytest.fixture
def accelerator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apply, "on_accelerator", lambda images: isinstance(images, torch.Tensor))


def noise(*shape: int) -> torch.Tensor:
    return torch.randint(
        0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )


def test_indices_are_int32_and_prepared_once() -> None:
    transform = compose(STEPS, KEY)
    cpu = torch.device("cpu")
    shape = Shape(8, 12)
    recipe = apply_torch.prepare_on(cpu, transform._plan, "encrypt", shape)
    assert recipe.source is not None
    assert recipe.offsets is not None
    assert recipe.source.dtype == recipe.offsets.dtype == torch.int32
    assert apply_torch.prepare_on(cpu, transform._plan, "encrypt", shape) is recipe
    assert apply_torch.prepare_on(cpu, transform._plan, "encrypt", Shape(12, 8)) is not recipe


@pytest.mark.parametrize("cached", [apply_torch.prepare_on, prepare])
def test_few_recipes_are_kept(cached: object) -> None:
    assert cached.cache_info().maxsize <= 16  # type: ignore[attr-defined]


@pytest.mark.usefixtures("accelerator")
def test_impossible_values_are_counted_as_on_the_cpu() -> None:
    transform = compose(STEPS, KEY)
    damaged = transform.encrypt(noise(3, 3, 8, 8))
    damaged[..., ::2] = torch.randint(-40, 1100, damaged[..., ::2].shape, dtype=torch.int16)
    with pytest.raises(TransformError) as here:
        transform.decrypt(damaged)
    with pytest.raises(TransformError) as there:
        transform.decrypt(damaged.numpy())
    assert here.value.got == there.value.got
    with pytest.raises(TransformError, match="values outside") as here:
        transform.encrypted_to_input(damaged)
    with pytest.raises(TransformError) as there:
        transform.encrypted_to_input(damaged.numpy())
    assert here.value.got == there.value.got


@pytest.mark.usefixtures("accelerator")
@pytest.mark.parametrize("batch", [0, 1])
def test_small_batches(batch: int) -> None:
    images = noise(batch, 3, 8, 8)
    for transform in (compose(STEPS, KEY), compose(["np-8"], KEY), identity()):
        encrypted = transform.encrypt(images)
        assert encrypted.shape == images.shape
        assert torch.equal(transform.decrypt(encrypted), images)
        assert transform.to_input(images).shape == images.shape


@pytest.mark.parametrize("channels_last", [False, True])
def test_tensors_over_foreign_memory(channels_last: bool) -> None:
    """Slices at odd offsets of a larger tensor, as a loader hands them out."""
    images = noise(5, 3, 9, 16)[1:, :, 1:, :]
    if channels_last:
        images = images.contiguous(memory_format=torch.channels_last)
    for transform in (compose(["np-4"], KEY), compose(["ffx-4"], KEY), compose(["shf-4"], KEY)):
        expected = transform.encrypt(np.ascontiguousarray(images.numpy()))
        assert np.array_equal(transform.encrypt(images), expected)


@pytest.mark.parametrize(
    ("dtype", "words"), [(torch.float32, 4), (torch.float64, 8), (torch.bfloat16, 2)]
)
def test_input_dtypes(dtype: torch.dtype, words: int) -> None:
    made = compose(["ffx-4"], KEY).to_input(noise(2, 3, 8, 8), dtype=dtype)
    assert made.dtype == dtype
    assert made.element_size() == words


def test_other_input_dtypes_are_refused() -> None:
    with pytest.raises(TransformError, match="must be one of float32, float64") as caught:
        identity().to_input(noise(1, 3, 4, 4), dtype=torch.int32)
    assert caught.value.got == "torch.int32"
    with pytest.raises(TransformError, match="memory_format must be"):
        identity().to_input(noise(1, 3, 4, 4), memory_format=torch.channels_last_3d)


def test_the_network_input_can_be_written_to() -> None:
    """Training may work in place; a shared or read-only result would surprise it."""
    images = noise(1, 3, 4, 4).numpy()
    images.flags.writeable = False
    for transform in (identity(), compose(["np-4"], KEY)):
        transform.to_input(images).add_(1)
        torch.from_numpy(transform.encrypt(images)).add_(1)
        assert transform.encrypt(images).flags.writeable


needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
LAYOUTS = (torch.contiguous_format, torch.channels_last)
FLOATS = (torch.bfloat16, torch.float16, torch.float32, torch.float64)
ON_CUDA = [[f"{m}-{b}"] for m in ("shf", "np", "ffx") for b in (2, 4, 16, 64, 128, 256)]
ON_CUDA += [[], STEPS, ["np-16", "shf-16", "ffx-16", "shf-16"]]


@pytest.mark.gpu
@needs_gpu
@pytest.mark.parametrize("gathers", [False, True])
@pytest.mark.parametrize("batch", [1, 19])
@pytest.mark.parametrize("steps", ON_CUDA, ids="+".join)
def test_cuda_gives_the_same_bits(
    steps: list[str], batch: int, gathers: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Triton's kernel, and torch's gathers where it cannot be used."""
    if gathers:
        monkeypatch.setattr(apply_triton, "usable", lambda _: False)
    else:
        assert apply_triton.usable(torch.device("cuda:0"))
    transform, images = compose(steps, KEY), noise(batch, 3, 256, 512)
    expected = transform.encrypt(images)
    for layout in LAYOUTS:
        on_device = images.cuda().contiguous(memory_format=layout)
        encrypted = transform.encrypt(on_device)
        assert torch.equal(encrypted.cpu(), expected)
        assert encrypted.is_contiguous(memory_format=layout)
        assert torch.equal(transform.decrypt(encrypted), on_device)
        for write, dtype in product(LAYOUTS, FLOATS):
            floats = transform.to_input(images, dtype=dtype)
            for work, given in (("to_input", on_device), ("encrypted_to_input", encrypted)):
                made = getattr(transform, work)(given, dtype=dtype, memory_format=write)
                assert torch.equal(made.cpu(), floats)
                assert made.is_contiguous(memory_format=write)


@pytest.mark.gpu
@needs_gpu
def test_cuda_is_not_waited_for() -> None:
    transform, images = compose(STEPS, KEY), noise(4, 3, 64, 64).cuda()
    transform.encrypt(images), transform.to_input(images, dtype=torch.bfloat16)  # in place now
    torch.cuda.set_sync_debug_mode("error")
    try:
        transform.encrypt(images), transform.to_input(images, dtype=torch.bfloat16)
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.gpu
@needs_gpu
@pytest.mark.parametrize("steps", [["np-4"], ["shf-4"], ["shf-256"]], ids="+".join)
def test_batches_beyond_two_to_the_31_values_on_cuda(steps: list[str]) -> None:
    transform, some = compose(steps, KEY), noise(100, 3, 256, 256)
    batch = some.cuda().repeat(112, 1, 1, 1)
    assert batch.numel() > 1 << 31
    assert torch.equal(transform.encrypt(batch)[-100:].cpu(), transform.encrypt(some))


@pytest.mark.gpu
@needs_gpu
def test_impossible_values_are_counted_on_cuda() -> None:
    transform = compose(STEPS, KEY)
    damaged = transform.encrypt(noise(9, 3, 64, 64))
    damaged[..., ::2] = torch.randint(-40, 1100, damaged[..., ::2].shape, dtype=torch.int16)
    told = []
    for given in (damaged, damaged.cuda()):
        with pytest.raises(TransformError) as caught:
            transform.decrypt(given)
        told.append(caught.value.got)
    assert told[0] == told[1]
