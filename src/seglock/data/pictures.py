"""Decoding images and masks: what is read is what the file holds, or it is refused by name.

Decoders change values silently (16 bits become 8, two-bit grey is stretched, CMYK is guessed to
RGB), so formats and pixel layouts are taken from a list; whatever is not on it is refused.
Colour profiles are ignored: the stored values count.
"""

from __future__ import annotations

import stat
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from seglock.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL import Image

STORED_SIZE = "stored_size"
"""In ``info`` of an image that was turned by its EXIF orientation: (width, height) before that."""

_IMAGE_FORMATS = ("JPEG", "MPO", "PNG", "BMP", "WEBP")
_MASK_FORMATS = ("PNG",)
# Pillow's names of how values lie in a file. Of MPO, a phone's JPEG, the first frame is the photo.
_IMAGE_LAYOUTS = {
    "1", "L", "L;2", "L;4", "P", "P;1", "P;2", "P;4", "LA", "RGB", "RGBA", "RGBX",
    "BGR", "BGRX", "BGRA", "XBGR", "ABGR",
}  # fmt: skip
_MASK_STEPS = {"1": 1, "P": 1, "P;1": 1, "P;2": 1, "P;4": 1, "L": 1, "L;2": 85, "L;4": 17}
"""Layouts of masks, and by how much Pillow stretches the values of each."""


def open_image(path: Path) -> Image.Image:
    """One image as 8-bit RGB, upright as viewers show it.

    Raises DataError if it is damaged, partly transparent, or of another depth or colour space.
    """
    image, layout = _decode(path, _IMAGE_FORMATS)
    if layout not in _IMAGE_LAYOUTS:
        raise DataError(
            f"{path.name} must have 8 bits a channel, grey or RGB",
            got=f"{image.format} of mode {layout}",
            fix="convert it to 8-bit RGB first, so that you see what becomes of its values",
        )
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if "A" in image.mode or "transparency" in image.info:
        image = _opaque(path, image)
    return _keeping_info(image, image.convert("RGB"))


def resized(image: Image.Image, side: int) -> NDArray[np.uint8]:
    """An RGB picture as networks see it: (3, S, S) uint8, made so large bilinearly."""
    from PIL import Image

    size = (side, side)
    image = image.resize(size, Image.Resampling.BILINEAR) if image.size != size else image
    return np.asarray(image).transpose(2, 0, 1)


def open_mask(path: Path) -> Image.Image:
    """One mask as class indices (mode ``P`` or ``L``), palette colours aside, upright.

    Raises DataError if it is damaged, not a PNG, or not of one index a pixel.
    """
    from PIL import Image

    mask, layout = _decode(path, _MASK_FORMATS)
    if layout not in _MASK_STEPS:
        raise DataError(
            f"{path.name} must be a palette or 8-bit grey mask of class indices",
            got=f"mode {layout}",
            fix="map its colours or values to class indices first",
        )
    if mask.mode != "1" and _MASK_STEPS[layout] == 1:
        return mask
    labels = np.asarray(mask).astype(np.uint8) // _MASK_STEPS[layout]
    return _keeping_info(mask, Image.fromarray(labels))


def _decode(path: Path, formats: tuple[str, ...]) -> tuple[Image.Image, str]:
    """The picture, decoded whole and turned upright, and how its values lie in the file."""
    from PIL import Image, ImageOps

    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise ValueError("no plain file")  # opening a pipe would wait for ever
        with Image.open(path) as image:
            layout = _layout(image)
            frames = 1 if image.format == "MPO" else getattr(image, "n_frames", 1)
            if image.format in formats and frames == 1:
                stored = image.size
                image.load()
                pixels = image.im
                ImageOps.exif_transpose(image, in_place=True)
                if image.im is not pixels:
                    image.info[STORED_SIZE] = stored
    except FileNotFoundError as error:
        raise DataError(f"{path.name} must exist", got="no such file") from error
    except Exception as error:  # decoders meet damaged bytes with errors of every kind
        reason = " ".join(str(error).replace(repr(str(path)), "it").split())
        raise DataError(
            f"{path.name} must be a whole image", got=reason or type(error).__name__
        ) from error
    if image.format not in formats:
        lossy = formats == _MASK_FORMATS and image.format in _IMAGE_FORMATS
        fix = "what is lossy has lost its class indices; export it again as PNG"
        raise DataError(
            f"{path.name} must be a file of format {', '.join(formats)}",
            got=image.format,
            fix=fix if lossy else "convert it to PNG",
        )
    if frames != 1:
        raise DataError(
            f"{path.name} must hold one picture",
            got=f"{frames} frames",
            fix="save the one you mean",
        )
    return image, layout


def _layout(image: Image.Image) -> str:
    """How values lie in the file, by Pillow's raw mode; known before decoding only."""
    tiles = getattr(image, "tile", None)
    if not tiles:
        return image.mode
    arguments = tiles[0].args
    return str(arguments if isinstance(arguments, str) else arguments[0])


def _opaque(path: Path, image: Image.Image) -> Image.Image:
    clear = _keeping_info(image, image.convert("RGBA"))
    if clear.getchannel("A").getextrema() != (255, 255):
        raise DataError(
            f"{path.name} must be opaque",
            got="transparent pixels, whose colours no viewer shows",
            fix="put it onto a background of your choice first",
        )
    return clear


def _keeping_info(old: Image.Image, new: Image.Image) -> Image.Image:
    if STORED_SIZE in old.info:
        new.info[STORED_SIZE] = old.info[STORED_SIZE]
    return new
