"""Triton's kernel in Triton's interpreter, against NumPy: run by test_apply_triton.py.

Its environment says TRITON_INTERPRET=1, which holds for a whole process.
"""

from __future__ import annotations

import sys

import numpy as np
import torch

from seglock.errors import TransformError
from seglock.keys import SecretKey
from seglock.transforms import apply, apply_triton, compose

KEY = SecretKey.from_bytes(bytes(range(32)))
LAYOUTS = (torch.contiguous_format, torch.channels_last)
WRITTEN = (
    (torch.channels_last, torch.bfloat16),
    (torch.channels_last, torch.float32),
    (torch.contiguous_format, torch.bfloat16),
    (torch.contiguous_format, torch.float16),
    (torch.contiguous_format, torch.float64),
)


def on_the_interpreter() -> None:
    """Send CPU tensors to the kernel; arrays still go through NumPy."""
    apply.on_accelerator = lambda images: isinstance(images, torch.Tensor)
    apply_triton.usable = lambda device: True
    apply_triton._WHOLE = 8  # so that small images show what blocks of 128 pixels do


def round_as_the_card_does() -> None:
    """The interpreter cuts float32 off where the hardware rounds it to bfloat16."""
    import triton.language as tl
    from triton.runtime import interpreter

    cut_off = interpreter._convert_float

    def convert(values, given, wanted, mode):
        if (given, wanted) != (tl.float32, tl.bfloat16):
            return cut_off(values, given, wanted, mode)
        rounded = torch.from_numpy(np.array(values, dtype=np.float32)).bfloat16()
        return rounded.view(torch.int16).numpy().view(np.uint16)

    interpreter._convert_float = convert


def check(steps: list[str], height: int, width: int, batch: int) -> None:
    transform = compose(steps, KEY)
    rng = np.random.default_rng(3)
    images = rng.integers(0, 256, (batch, 3, height, width), dtype=np.uint8)
    expected = transform.encrypt(images)
    for read in LAYOUTS:
        tensor = torch.from_numpy(images).contiguous(memory_format=read)
        encrypted = transform.encrypt(tensor)
        assert encrypted.is_contiguous(memory_format=read)
        assert np.array_equal(encrypted, expected), "encrypt"
        assert np.array_equal(transform.decrypt(encrypted), images), "decrypt"
        for write, dtype in WRITTEN:
            floats = transform.to_input(images, dtype=dtype)
            for made in (
                transform.to_input(tensor, dtype=dtype, memory_format=write),
                transform.encrypted_to_input(encrypted, dtype=dtype, memory_format=write),
            ):
                assert made.is_contiguous(memory_format=write)
                assert torch.equal(made, floats), f"inputs, {dtype}"
    if transform.dtype_name == "int16":
        check_impossible(transform, torch.from_numpy(expected))


def check_impossible(transform: object, encrypted: torch.Tensor) -> None:
    damaged = encrypted.clone()
    noise = torch.Generator().manual_seed(1)
    damaged[..., ::3] = torch.randint(
        -50, 1200, damaged[..., ::3].shape, dtype=torch.int16, generator=noise
    )
    told = []
    for given in (damaged, damaged.numpy()):
        try:
            transform.decrypt(given)  # type: ignore[attr-defined]
        except TransformError as error:
            told.append(error.got)
    assert len(told) == 2
    assert told[0] == told[1]


if __name__ == "__main__":
    on_the_interpreter()
    round_as_the_card_does()
    for lock in sys.argv[1:]:
        names, height, width, batch = lock.split(":")
        check(names.split("+") if names else [], int(height), int(width), int(batch))
        print(lock, "agrees")
