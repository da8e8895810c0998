"""An envelope gives back what was put in, or says in one message that it is none or was damaged."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
import tracemalloc
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from seglock.errors import DataError
from seglock.serving.envelope import CHUNK, Envelope, decode, encode

KEY = "0123456789abcdef"
MOST = 64 * 64


def made(side: int = 8, dtype: str = "uint8", seed: int = 0, **other: object) -> Envelope:
    top = 256 if dtype == "uint8" else 1000
    values = np.random.default_rng(seed).integers(0, top, (3, side, side)).astype(dtype)
    about = {"key_id": KEY, "lock": "np-4", "steps": ("np-4",), "photo_size": (640, 480)} | other
    return Envelope(values, **about)  # type: ignore[arg-type]


def part(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(picture: Image.Image, text: str | None = None) -> bytes:
    info = PngInfo()
    if text is not None:
        info.add_text(CHUNK, text)
    picture.save(out := io.BytesIO(), "PNG", pnginfo=info)
    return out.getvalue()


def text_of(content: bytes) -> str:
    with Image.open(io.BytesIO(content)) as picture:
        return str(picture.info[CHUNK])


@settings(max_examples=60)
@given(
    side=st.integers(1, 24),
    dtype=st.sampled_from(["uint8", "int16"]),
    seed=st.integers(0, 2**32 - 1),
    lock=st.text(max_size=20),
    steps=st.lists(st.text(max_size=12), max_size=3).map(tuple),
    photo=st.none() | st.tuples(st.integers(1, 10**6), st.integers(1, 10**6)),
)
def test_what_is_put_in_comes_out(side, dtype, seed, lock, steps, photo) -> None:
    sent = made(side, dtype, seed, lock=lock, steps=steps, photo_size=photo)
    got = decode(encode(sent), most_pixels=side * side)
    assert got.values.dtype == sent.values.dtype
    assert np.array_equal(got.values, sent.values)
    assert got.values.flags.c_contiguous
    assert (got.lock, got.steps, got.key_id, got.photo_size) == (lock, steps, KEY, photo)


@settings(max_examples=150)
@given(
    dtype=st.sampled_from(["uint8", "int16"]), place=st.integers(0, 10**6), bit=st.integers(0, 7)
)
def test_a_changed_bit_is_told_or_changes_nothing(dtype, place, bit) -> None:
    """Nothing: such as a bit of a checksum that PNG readers do not look at."""
    sent = made(4, dtype)
    content = bytearray(encode(sent))
    content[place % len(content)] ^= 1 << bit
    try:
        got = decode(bytes(content), most_pixels=MOST)
    except DataError:
        return
    assert np.array_equal(got.values, sent.values)
    assert (got.lock, got.steps, got.key_id) == (sent.lock, sent.steps, sent.key_id)
    assert got.photo_size == sent.photo_size


@settings(max_examples=100)
@given(content=st.binary(max_size=200), signed=st.booleans())
def test_other_bytes_are_one_message(content, signed) -> None:
    with pytest.raises(DataError, match=r"an envelope must"):
        decode((b"\x89PNG\r\n\x1a\n" if signed else b"") + content, most_pixels=MOST)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_an_envelope_that_was_cut_short_is_told(share: float) -> None:
    content = encode(made())
    with pytest.raises(DataError, match="an envelope must"):
        decode(content[: int(share * len(content))], most_pixels=MOST)
    with pytest.raises(DataError, match="got more after its end"):
        decode(content + b"PK", most_pixels=MOST)


def test_a_jpeg_of_it_is_named_as_one() -> None:
    with Image.open(io.BytesIO(encode(made()))) as picture:
        picture.save(out := io.BytesIO(), "JPEG", quality=100)
    with pytest.raises(DataError, match=r"got a JPEG, which is lossy; send the file itself"):
        decode(out.getvalue(), most_pixels=MOST)


def test_another_png_is_named_as_one_and_so_are_other_pixels_under_a_right_description() -> None:
    plain = Image.new("RGB", (8, 8))
    with pytest.raises(DataError, match="got a PNG without its description"):
        decode(png(plain), most_pixels=MOST)
    with pytest.raises(DataError, match="got a description that cannot be read"):
        decode(png(plain, "{}"), most_pixels=MOST)
    about = text_of(encode(made()))
    with pytest.raises(DataError, match="got other content than its SHA-256 tells of"):
        decode(png(plain, about), most_pixels=MOST)
    with pytest.raises(DataError, match="got another shape than its description tells of"):
        decode(png(Image.new("RGB", (4, 4)), about), most_pixels=MOST)
    with pytest.raises(DataError, match="got another shape than its description tells of"):
        decode(png(Image.new("RGB", (8, 4)), about), most_pixels=MOST)
    with pytest.raises(DataError, match="an envelope must"):
        decode(png(Image.new("RGBA", (8, 8)), about), most_pixels=MOST)


def test_the_description_cannot_be_put_onto_other_values() -> None:
    """The SHA-256 is of both: one lock's name on another lock's image is told."""
    content = encode(made())
    about = text_of(content)
    with Image.open(io.BytesIO(content)) as picture:
        again = png(picture, about)  # packed otherwise, and the same
        assert decode(again, most_pixels=MOST).lock == "np-4"
        other = png(picture, about.replace('"lock":"np-4"', '"lock":"np-8"'))
    with pytest.raises(DataError, match="got other content than its SHA-256"):
        decode(other, most_pixels=MOST)


@pytest.mark.parametrize("declared", [(60_000, 60_000), (2**31 - 1, 2**31 - 1), (65, 64), (0, 0)])
def test_a_declared_size_is_refused_before_anything_is_decompressed(declared) -> None:
    head = struct.pack(">IIBBBBB", *declared, 8, 2, 0, 0, 0)
    text = CHUNK.encode() + b"\0" + text_of(encode(made())).encode()
    packed = zlib.compress(bytes(1 << 24), 9)
    parts = (b"IHDR", head), (b"tEXt", text), (b"IDAT", packed), (b"IEND", b"")
    content = b"\x89PNG\r\n\x1a\n" + b"".join(part(*each) for each in parts)
    tracemalloc.start()
    try:
        match = r"at most 4096 pixels, got [62]" if declared[0] else "must"
        with pytest.raises(DataError, match=match):
            decode(content, most_pixels=MOST)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("dtype", ["uint8", "int16"])
def test_one_that_is_whole_but_larger_than_wanted_is_refused(dtype: str) -> None:
    content = encode(made(65, dtype))
    assert decode(content, most_pixels=65 * 65).values.shape == (3, 65, 65)
    with pytest.raises(DataError, match="at most 4224 pixels, got 65x65"):
        decode(content, most_pixels=65 * 65 - 1)


def test_compressed_text_is_no_part_of_it() -> None:
    """Where a small file could ask for much memory: text and profiles that are compressed."""
    content = encode(made())
    bomb = part(b"zTXt", b"a\0\0" + zlib.compress(bytes(1 << 20), 9))
    with pytest.raises(DataError, match="got a PNG with other parts"):
        decode(content[:33] + bomb + content[33:], most_pixels=MOST)


def test_values_that_no_lock_gives_are_refused_on_both_sides(monkeypatch) -> None:
    wide = made(dtype="int16")
    for value in (-1, 1000):
        wide.values[0, 0, 0] = value
        with pytest.raises(DataError, match=r"must lie in 0\.\.999"):
            encode(wide)
        with monkeypatch.context() as patch:
            patch.setattr("seglock.serving.envelope._check_range", lambda values: None)
            content = encode(wide)
        with pytest.raises(DataError, match=r"must lie in 0\.\.999"):
            decode(content, most_pixels=MOST)
    with pytest.raises(DataError, match="holds uint8 or int16, got float32"):
        encode(Envelope(np.zeros((3, 2, 2), np.float32), KEY, "x", ()))
    for shape in ((3, 2, 4), (1, 4, 4), (4, 4), (3, 0, 0)):
        with pytest.raises(DataError, match="holds one image"):
            encode(Envelope(np.zeros(shape, np.uint8), KEY, "x", ()))


def test_its_text_form_shows_no_values() -> None:
    assert "values" not in repr(made())


def test_it_needs_no_torch_and_no_key() -> None:
    code = "import sys, seglock.serving.envelope as e; print(*sys.modules)"
    names = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = names.stdout.split()
    for room in ("torch", "mlflow", "seglock.keys", "seglock.transforms", "seglock.plans"):
        assert room not in loaded
