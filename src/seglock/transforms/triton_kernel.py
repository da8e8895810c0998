"""The kernel that `apply_triton` starts, in Triton's language; importing it needs Triton.

With ``TRITON_INTERPRET=1`` in the environment before the import it runs on the CPU, for tests.
"""
# mypy: ignore-errors
# ruff: noqa: N803

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def transform_kernel(
    x,
    out,
    words,
    tables,
    affine,
    inputs,
    bad,
    batch,
    size,
    height,
    width,
    tiles,
    tiles_each,
    BLOCK: tl.constexpr,
    ONE_BLOCK: tl.constexpr,
    GATHERS: tl.constexpr,
    READ_NHWC: tl.constexpr,
    WRITE_NHWC: tl.constexpr,
    WIDTH: tl.constexpr,
    REACH: tl.constexpr,
    UNCHANGED: tl.constexpr,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
    IMAGES: tl.constexpr,
    UNROLL: tl.constexpr,
):
    """Program p: some tiles (which change fastest with p) of every so many images.

    The arrays are those of `BlockRecipe`, None where not needed; ``bad`` is given for decrypting
    with tables, and counts.
    """
    line = width * 3 if WRITE_NHWC else width
    across = tl.cdiv(line, COLUMNS)
    programs = tl.cdiv(tiles, tiles_each)
    first = tl.program_id(0) % programs * tiles_each
    stride = tl.num_programs(0) // programs * IMAGES
    for image in range(tl.program_id(0) // programs * IMAGES, batch, stride):
        for tile in range(first, min(first + tiles_each, tiles)):
            y = tile // across * ROWS + tl.arange(0, ROWS)[:, None]
            c = tile % across * COLUMNS + tl.arange(0, COLUMNS)[None, :]
            inside = (y < height) & (c < line)
            for plane in tl.static_range(1 if WRITE_NHWC else 3):
                channel = c % 3 if WRITE_NHWC else plane
                column = c // 3 if WRITE_NHWC else c
                to = (plane * height + y) * line + c
                # One block as large as the image lies as the image is written: neighbours.
                place = to if ONE_BLOCK else (y % BLOCK * BLOCK + column % BLOCK) * 3 + channel
                word = tl.load(words + place, mask=inside, other=0, eviction_policy="evict_first")
                start = to
                if GATHERS:
                    source = (word >> 8) & 0xFFFFFF
                    down = y - y % BLOCK + source // (3 * BLOCK)
                    right = column - column % BLOCK + source // 3 % BLOCK
                    if READ_NHWC:
                        start = (down * width + right) * 3 + source % 3
                    else:
                        start = (source % 3 * height + down) * width + right
                kind = (word >> 1) & 127
                flip = (word & 1) * 255
                if affine is not None:
                    scale = tl.load(affine + channel * 2)
                    shift = tl.load(affine + channel * 2 + 1)
                for index in tl.range(0, min(IMAGES, batch - image), loop_unroll_factor=UNROLL):
                    offset = tl.cast(image + index, tl.int64) * size
                    value = tl.load(x + offset + start, mask=inside, other=0).to(tl.int32)
                    if bad is not None:
                        value = tl.where((value < 0) | (value >= WIDTH), WIDTH - 1, value)
                        entry = tl.load(tables + kind * WIDTH + value, mask=inside, other=0)
                        wrong = tl.sum((entry > 255).to(tl.int32))
                        if wrong > 0:
                            tl.atomic_add(bad, wrong.to(tl.int64))
                        value = entry.to(tl.int32) ^ flip
                    else:
                        value = value ^ flip
                        if tables is not None:
                            changes = inside & (kind != UNCHANGED)
                            entry = tl.load(tables + kind * WIDTH + value, mask=changes, other=0)
                            value = tl.where(kind == UNCHANGED, value, entry.to(tl.int32))
                    if affine is not None:
                        seen = value.to(tl.float32) * scale + shift
                    elif inputs is not None:
                        seen = tl.load(inputs + channel * REACH + value, mask=inside, other=0)
                    else:
                        seen = value
                    tl.store(out + offset + to, seen.to(out.dtype.element_ty), mask=inside)
