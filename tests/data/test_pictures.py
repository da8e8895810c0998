"""What is read is what a file holds and viewers show, or it is refused by name."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from seglock.data.pictures import open_image, open_mask
from seglock.errors import DataError

LABELS = np.array([[0, 1, 2], [3, 2, 1]], dtype=np.uint8)
IN_ONE_FOLDER = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60
)


def _oriented(number: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = number
    return exif


def _png(rows: bytes, *header: int) -> bytes:
    """A PNG of layouts that Pillow reads but does not write."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    about = struct.pack(">IIBBBBB", *header, 0, 0, 0)
    parts = (b"IHDR", about), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


@pytest.fixture
def photo() -> np.ndarray:
    """A photo that no turn or mirror leaves as it is."""
    return np.random.default_rng(3).integers(0, 256, (5, 8, 3), dtype=np.uint8)


# By the EXIF standard: what has to be done to the stored rows and columns.
UPRIGHT = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: lambda a: np.rot90(a),
    9: lambda a: a,  # there is no such orientation
}


@pytest.mark.parametrize("number", UPRIGHT)
@pytest.mark.parametrize("kind", ["png", "webp", "grey.png"])
def test_images_are_upright_as_viewers_show_them(tmp_path, photo, number, kind) -> None:
    path = tmp_path / f"photo.{kind}"
    stored = Image.fromarray(photo).convert("L") if "grey" in kind else Image.fromarray(photo)
    stored.save(path, exif=_oriented(number), **({"lossless": True} if kind == "webp" else {}))
    expected = UPRIGHT[number](np.asarray(stored.convert("RGB")))
    np.testing.assert_array_equal(open_image(path), expected)
    before = None if number in (1, 9) else (8, 5)
    assert open_image(path).info.get("stored_size") == before


@pytest.mark.parametrize("number", UPRIGHT)
@pytest.mark.parametrize("mode", ["P", "L", "1"])
def test_masks_are_turned_as_well(tmp_path, number, mode) -> None:
    labels = LABELS % 2 if mode == "1" else LABELS
    mask = Image.fromarray(labels.astype(bool)) if mode == "1" else Image.fromarray(labels)
    mask.convert(mode).save(tmp_path / "mask.png", exif=_oriented(number))
    np.testing.assert_array_equal(open_mask(tmp_path / "mask.png"), UPRIGHT[number](labels))


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
@pytest.mark.parametrize("grey", [True, False])
def test_masks_are_indices_at_every_depth(tmp_path, bits, grey) -> None:
    labels = np.minimum(LABELS, 2**bits - 1)
    path = tmp_path / "mask.png"
    if grey:
        texts = ("".join(f"{value:0{bits}b}" for value in row) for row in labels)
        rows = [int(t.ljust(24, "0"), 2).to_bytes(3)[: -(-len(t) // 8)] for t in texts]
        path.write_bytes(_png(b"\0" + b"\0".join(rows), 3, 2, bits, 0))
    else:
        mask = Image.fromarray(labels).convert("P")
        mask.putpalette([9, 9, 9, 8, 8, 8, 200, 10, 10, 1, 2, 3])
        mask.save(path, bits=bits)
    np.testing.assert_array_equal(open_mask(path), labels)


@IN_ONE_FOLDER
@given(st.lists(st.integers(0, 255), min_size=6, max_size=6), st.booleans(), st.booleans())
def test_any_index_is_read_as_it_was_written(tmp_path, labels, palette, clear) -> None:
    array = np.array(labels, dtype=np.uint8).reshape(2, 3)
    mask = Image.fromarray(array)
    if palette:
        mask = Image.frombytes("P", mask.size, array.tobytes())
        mask.putpalette([value for index in range(256) for value in (index, 0, 255 - index)])
    mask.save(tmp_path / "mask.png", **({"transparency": 0} if clear else {}))
    np.testing.assert_array_equal(open_mask(tmp_path / "mask.png"), array)


@pytest.mark.parametrize("suffix", ["png", "bmp"])
@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA"])
def test_opaque_images_are_read_to_the_last_value(tmp_path, photo, mode, suffix) -> None:
    image = Image.fromarray(photo).convert(mode)
    image.save(tmp_path / f"photo.{suffix}")
    expected = np.asarray(image.convert("RGB"))
    np.testing.assert_array_equal(open_image(tmp_path / f"photo.{suffix}"), expected)


def test_a_clear_colour_that_does_not_occur_is_no_fault(tmp_path, photo) -> None:
    Image.fromarray(photo).save(tmp_path / "photo.png", transparency=(1, 2, 3))
    np.testing.assert_array_equal(open_image(tmp_path / "photo.png"), photo)


def test_a_jpeg_that_holds_more_pictures_is_its_photo(tmp_path, photo) -> None:
    first, other = Image.fromarray(photo), Image.fromarray(255 - photo)
    first.save(tmp_path / "one.jpg", quality=95)
    first.save(tmp_path / "mpo.jpg", format="MPO", append_images=[other], save_all=True, quality=95)
    np.testing.assert_array_equal(
        open_image(tmp_path / "mpo.jpg"), open_image(tmp_path / "one.jpg")
    )


def _deep_rgb(path: Path) -> None:
    """16 bits a channel, which Pillow cuts to 8 without a word."""
    path.write_bytes(_png(b"\0" + struct.pack(">3H", 256, 700, 65535), 1, 1, 16, 2))


def _frames(path: Path) -> None:
    frames = [Image.fromarray(LABELS), Image.fromarray(255 - LABELS)]
    frames[0].save(path, format="PNG", save_all=True, append_images=frames[1:])


REFUSED_IMAGES = {
    "grey of 16 bits": lambda p: Image.fromarray(np.full((2, 2), 700, np.uint16)).save(p),
    "RGB of 16 bits": _deep_rgb,
    "CMYK": lambda p: Image.new("CMYK", (4, 4), (9, 0, 0, 50)).save(p, format="JPEG"),
    "float": lambda p: Image.new("F", (4, 4), 0.5).save(p, format="TIFF"),
    "JPEG 2000": lambda p: Image.new("RGB", (64, 64)).save(p, format="JPEG2000"),
    "GIF": lambda p: Image.new("RGB", (4, 4)).save(p, format="GIF"),
    "two frames": _frames,
    "half transparent": lambda p: Image.new("RGBA", (4, 4), (1, 2, 3, 128)).save(p),
    "grey, clear": lambda p: Image.new("LA", (4, 4), (1, 0)).save(p),
    "a palette's clear colour": lambda p: (
        Image.fromarray(LABELS).convert("P").save(p, transparency=1)
    ),
    "a clear colour": lambda p: Image.new("RGB", (4, 4), (1, 2, 3)).save(p, transparency=(1, 2, 3)),
}


@pytest.mark.parametrize("kind", REFUSED_IMAGES)
def test_images_that_would_be_garbled_are_refused_by_name(tmp_path, kind) -> None:
    REFUSED_IMAGES[kind](tmp_path / "photo.png")
    with pytest.raises(DataError, match=r"^photo\.png must (have|hold|be).*, got .*; \w+"):
        open_image(tmp_path / "photo.png")


REFUSED_MASKS = {
    "grey of 16 bits": lambda p: Image.fromarray(LABELS.astype(np.uint16)).save(p),
    "RGB of 16 bits": _deep_rgb,
    "colours": lambda p: Image.new("RGB", (4, 4), (128, 0, 0)).save(p),
    "colours with alpha": lambda p: Image.new("RGBA", (4, 4), (128, 0, 0, 255)).save(p),
    "grey with alpha": lambda p: Image.new("LA", (4, 4), (1, 255)).save(p),
    "JPEG": lambda p: Image.fromarray(LABELS).save(p, format="JPEG"),
    "WebP": lambda p: Image.fromarray(LABELS).save(p, format="WEBP"),
    "JPEG 2000": lambda p: Image.fromarray(np.resize(LABELS, (64, 64))).save(p, format="JPEG2000"),
    "BMP": lambda p: Image.fromarray(LABELS).save(p, format="BMP"),
    "two frames": _frames,
}


@pytest.mark.parametrize("kind", REFUSED_MASKS)
def test_masks_that_are_no_indices_are_refused_by_name(tmp_path, kind) -> None:
    REFUSED_MASKS[kind](tmp_path / "mask.png")
    with pytest.raises(DataError, match=r"^mask\.png must (hold|be).*, got .*; \w+") as caught:
        open_mask(tmp_path / "mask.png")
    if kind in ("JPEG", "WebP"):
        assert "lost its class indices; export it again as PNG" in str(caught.value)


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.9])
def test_cut_off_images_are_refused(voc, suffix: str, share: float) -> None:
    path = voc.image("cut", size=(200, 200), suffix=suffix)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(DataError, match=f"cut{suffix} must be a whole image"):
        open_image(path)


@IN_ONE_FOLDER
@given(at=st.integers(0, 300), value=st.integers(0, 255), mask=st.booleans())
def test_damage_anywhere_is_one_message_or_no_matter(tmp_path, at, value, mask) -> None:
    path = tmp_path / "damaged.png"
    Image.fromarray(np.resize(LABELS, (9, 9))).save(path, exif=_oriented(6))
    content = bytearray(path.read_bytes())
    content[at % len(content)] = value
    path.write_bytes(content)
    try:
        _ = open_mask(path) if mask else open_image(path)
    except DataError as error:
        assert str(error).startswith("damaged.png must ")  # noqa: PT017 - it may be none
