"""Triton's kernel without a card: in the interpreter against NumPy, and that it compiles."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from seglock.keys import SecretKey
from seglock.transforms import apply_triton, compose
from seglock.transforms.apply_triton import Tiling, constants_of, place
from seglock.transforms.block_recipe import block_recipe
from seglock.transforms.layout import Shape
from seglock.transforms.recipe import Work

KEY = SecretKey.from_bytes(bytes(range(32)))
CPU = torch.device("cpu")
needs_triton = pytest.mark.skipif(
    importlib.util.find_spec("triton") is None, reason="no Triton on this platform"
)

INTERPRETED = (  # steps : height : width : images
    ":6:10:1",
    "shf-2:6:10:3",
    "np-2:4:180:9",  # more columns than a tile's, more images than a program's
    "ffx-4:8:12:2",
    "np-4+shf-4+ffx-4+shf-4:8:12:2",
    "np-3+shf-3:9:12:2",
    "shf-8:16:24:1",
    "ffx-8:16:8:1",
    "shf-16:48:16:5",  # more images than the interpreter has processors
    "np-16+shf-16+ffx-16:16:16:1",
)


@needs_triton
@pytest.mark.parametrize("half", [0, 1])
def test_it_agrees_with_numpy_in_the_interpreter(half: int) -> None:
    script = Path(__file__).with_name("interpreted.py")
    locks = INTERPRETED[half::2]
    done = subprocess.run(
        [sys.executable, script, *locks],
        env={**os.environ, "TRITON_INTERPRET": "1"},
        text=True,
        capture_output=True,
    )
    assert done.stdout.splitlines() == [f"{lock} agrees" for lock in locks], done.stderr[-3000:]


COMPILED: tuple[tuple[str, Work, Shape, torch.dtype], ...] = (
    ("np-4", "to_input", Shape(256, 256, "nchw", "nhwc"), torch.bfloat16),
    ("shf-4", "to_input", Shape(256, 256, "nchw", "nhwc"), torch.bfloat16),
    ("ffx-16", "to_input", Shape(256, 256, "nchw", "nhwc"), torch.bfloat16),
    ("shf-256", "to_input", Shape(256, 256, "nchw", "nhwc"), torch.bfloat16),
    ("ffx-4", "to_input", Shape(256, 256), torch.float32),
    ("ffx-4", "encrypt", Shape(256, 256), torch.int16),
    ("ffx-4", "decrypt", Shape(256, 256), torch.uint8),
    ("shf-4", "decrypt", Shape(256, 256, "nhwc", "nhwc"), torch.uint8),
)
NAMES = {
    torch.uint8: "u8",
    torch.int16: "i16",
    torch.int32: "i32",
    torch.int64: "i64",
    torch.float32: "fp32",
    torch.bfloat16: "bf16",
}


def compiled(step: str, work: Work, shape: Shape, dtype: torch.dtype, arch: int) -> dict[str, Any]:
    """What the compiler makes of the kernel for a card that is not here, by kind."""
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    from seglock.transforms.triton_kernel import transform_kernel

    plan = compose([step], KEY)._plan
    name = str(dtype).removeprefix("torch.")
    placed = place(CPU, plan, work, name if dtype.is_floating_point else "float32")  # type: ignore[arg-type]
    cut = Tiling.of(placed, 256, shape, processors=132)
    counts = work == "decrypt" and placed.tables is not None
    arrays = {
        "x": torch.int16 if counts else torch.uint8,
        "out": dtype if placed.inputs is None else placed.inputs.dtype,
        "words": torch.int32,
        "tables": None if placed.tables is None else placed.tables.dtype,
        "affine": None if placed.affine is None else placed.affine.dtype,
        "inputs": None if placed.inputs is None else placed.inputs.dtype,
        "bad": torch.int64 if counts else None,
    }
    constants: dict[str, Any] = dict(constants_of(placed, shape, cut))
    constants |= {array: None for array, kind in arrays.items() if kind is None}
    signature = {a: "constexpr" if k is None else f"*{NAMES[k]}" for a, k in arrays.items()}
    signature |= dict.fromkeys(("batch", "size", "height", "width", "tiles", "tiles_each"), "i32")
    signature |= dict.fromkeys(constants, "constexpr")
    aligned = [*(a for a, k in arrays.items() if k), "batch", "size", "height", "width"]
    names = transform_kernel.arg_names
    made = triton.compile(
        ASTSource(
            transform_kernel,
            signature,
            constants,
            {(names.index(a),): [["tt.divisibility", 16]] for a in aligned},
        ),
        target=GPUTarget("cuda", arch, 32),
        options={"num_warps": cut.warps, "enable_fp_fusion": True},
    )
    assert made.asm["cubin"]
    return {"ptx": made.asm["ptx"], "shared": made.metadata.shared}


@needs_triton
@pytest.mark.parametrize("arch", [80, 90])
@pytest.mark.parametrize(("step", "work", "shape", "dtype"), COMPILED, ids=str)
def test_it_compiles_for_cards(
    step: str,
    work: Work,
    shape: Shape,
    dtype: torch.dtype,
    arch: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    ptx = compiled(step, work, shape, dtype, arch)["ptx"]
    stores = set(re.findall(r"st\.global\.([\w.]+)", ptx))
    assert stores == ({"v4.b32"} if dtype.itemsize > 1 else {"v2.b32"})  # 16 or 8 bytes at a time
    assert ".local" not in ptx


def test_another_key_costs_its_block_only() -> None:
    for step, positions in (("shf-2", 12), ("ffx-16", 768)):
        recipe = block_recipe(compose([step], KEY)._plan, "to_input", "bfloat16")
        assert recipe.words.shape == (positions,)
        assert recipe.moves == (step == "shf-2")


def test_it_multiplies_only_where_that_gives_the_same_bits() -> None:
    plan = compose(["np-4"], KEY)._plan
    by_affine = block_recipe(plan, "to_input", "bfloat16")
    by_table = block_recipe(plan, "to_input", "float32")
    assert by_affine.affine is not None
    assert by_affine.inputs is None
    assert by_table.affine is None
    assert by_table.inputs is not None
    assert by_table.inputs.dtype == np.int32


def test_every_image_and_tile_is_somebodys() -> None:
    for step in ("np-4", "shf-16", "shf-256"):
        placed = place(CPU, compose([step], KEY)._plan, "encrypt")
        for batch in (1, 5, 40, 256):
            cut = Tiling.of(placed, batch, Shape(256, 256), processors=132)
            parts = -(-cut.tiles // cut.tiles_each)
            assert cut.programs % parts == 0
            assert parts * cut.tiles_each >= cut.tiles
            assert cut.rows & (cut.rows - 1) == cut.columns & (cut.columns - 1) == 0
            if step == "shf-256":
                assert cut.programs // parts == min(batch, 132)
            else:
                assert cut.programs // parts * cut.images_each >= batch


def test_it_is_for_cuda_and_for_images_it_can_address() -> None:
    assert not apply_triton.usable(CPU)
    plan = compose(["np-4"], KEY)._plan
    assert apply_triton.fits(plan, Shape(8, 8))
    assert apply_triton.fits(plan, Shape(26752, 26752))
    assert not apply_triton.fits(plan, Shape(26756, 26756))
