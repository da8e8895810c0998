"""The PASCAL VOC layout: where a dataset's lists, images and masks are, and how to read them.

ROOT/JPEGImages/ID.jpg|jpeg|png        8-bit images
ROOT/SegmentationClass/ID.png          palette or grey masks of class indices, 255 = void
ROOT/ImageSets/Segmentation/SPLIT.txt  one id a line
ROOT/classes.txt                       one name a line in index order; the 21 VOC names without it
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from seglock.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from PIL import Image

VOID = 255
BACKGROUND = "background"
IMAGES = "JPEGImages"
MASKS = "SegmentationClass"
LISTS = "ImageSets/Segmentation"
CLASSES_FILE = "classes.txt"
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png")
MASK_SUFFIXES = (".png",)
VOC_CLASSES = (
    BACKGROUND, "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair",
    "cow", "diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa",
    "train", "tvmonitor",
)  # fmt: skip
_IMAGE_MODES = {"RGB", "RGBA", "RGBX", "L", "LA", "P", "PA", "1", "CMYK", "YCbCr"}
_MASK_MODES = {"P", "L", "1"}


@dataclass(frozen=True)
class VocFolder:
    """One dataset in the VOC layout. The folder is listed once, when first asked for."""

    root: Path
    _names: dict[str, Mapping[str, list[str]]] = field(
        default_factory=dict, repr=False, compare=False
    )

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """Class names in index order, from classes.txt or else the 21 of PASCAL VOC."""
        return read_classes(self.root)

    @property
    def lists(self) -> list[str]:
        """Names of all lists, sorted."""
        return sorted(path.stem for path in (self.root / LISTS).glob("*.txt"))

    def ids(self, split: str) -> list[str]:
        """The ids of one list, in its order; blank lines are skipped."""
        path = self.list_path(split)
        try:
            text = path.read_text(encoding="utf-8-sig")
        except FileNotFoundError as error:
            known = ", ".join(self.lists) or "no lists at all"
            raise DataError(
                f"{path} must exist", got="no such list", fix=f"that folder has {known}"
            ) from error
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(f"{path} must be readable text", got=str(error)) from error
        return [line.strip() for line in text.splitlines() if line.strip()]

    def list_path(self, split: str) -> Path:
        """Where the list of a split is."""
        return self.root / LISTS / f"{split}.txt"

    def images(self, name: str) -> list[Path]:
        """All image files of an id: one in a sound dataset."""
        return self._files(IMAGES, IMAGE_SUFFIXES, name)

    def masks(self, name: str) -> list[Path]:
        """All mask files of an id: one in a sound dataset."""
        return self._files(MASKS, MASK_SUFFIXES, name)

    def _files(self, folder: str, suffixes: tuple[str, ...], name: str) -> list[Path]:
        if folder not in self._names:
            found: dict[str, list[str]] = {}
            where = self.root / folder
            for path in sorted(where.iterdir()) if where.is_dir() else []:
                if path.suffix.lower() in suffixes:
                    found.setdefault(path.stem, []).append(path.name)
            self._names[folder] = found
        return [self.root / folder / file for file in self._names[folder].get(name, [])]


def find_voc_folder(path: Path) -> VocFolder:
    """The VOC folder at ``path``, or the one inside it (``VOCdevkit/VOC2012``).

    Raises DataError when there is none, or several.
    """
    path = Path(path)
    if not path.is_dir():
        raise DataError(
            "a dataset's folder must exist", got=str(path), fix="check data.source in params.yaml"
        )
    patterns = ("", "VOC2012", "VOCdevkit/VOC2012", "VOCdevkit/*", "*/VOCdevkit/VOC2012", "*")
    for pattern in patterns:
        candidates = sorted(path.glob(pattern)) if pattern else [path]
        found = [folder for folder in candidates if (folder / LISTS).is_dir()]
        if len(found) == 1:
            return VocFolder(found[0])
        if found:
            raise DataError(
                f"{path} must hold one dataset",
                got=", ".join(str(folder.relative_to(path)) for folder in found),
                fix="name one of these folders",
            )
    raise DataError(
        f"{path} must be in the PASCAL VOC layout",
        got=f"no {LISTS} folder in it",
        fix=f"it needs {IMAGES}/, {MASKS}/ and {LISTS}/*.txt",
    )


def read_classes(root: Path) -> tuple[str, ...]:
    """Class names in index order from ``root/classes.txt``; without that file, VOC's 21."""
    path = Path(root) / CLASSES_FILE
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except FileNotFoundError:
        return VOC_CLASSES
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} must be readable text", got=str(error)) from error
    names = tuple(line.strip() for line in lines if line.strip())
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice or not 2 <= len(names) <= VOID:
        raise DataError(
            f"{path} must name 2 to {VOID} different classes",
            got=f"{', '.join(twice)} twice" if twice else f"{len(names)} names",
            fix="write one class a line, in the order of the masks' indices",
        )
    return names


def open_image(path: Path) -> Image.Image:
    """Decode one image whole as 8-bit RGB; DataError if it is damaged or of another depth."""
    image = _decode(path)
    if image.mode not in _IMAGE_MODES:
        raise DataError(f"{path.name} must have 8 bits a channel", got=f"mode {image.mode}")
    return image if image.mode == "RGB" else image.convert("RGB")


def open_mask(path: Path) -> Image.Image:
    """Decode one mask whole as class indices (mode ``P`` or ``L``), palette colours aside."""
    image = _decode(path)
    if image.mode not in _MASK_MODES:
        raise DataError(
            f"{path.name} must be a palette or 8-bit grey mask of class indices",
            got=f"mode {image.mode}",
            fix="map its colours to class indices first",
        )
    if image.mode == "1":
        from PIL import Image

        return Image.fromarray(np.asarray(image).astype(np.uint8))
    return image


def read_image(path: Path) -> np.ndarray:
    """One image as (H, W, 3) uint8 RGB, 0..255."""
    return np.asarray(open_image(path))


def read_mask(path: Path) -> np.ndarray:
    """One mask as (H, W) uint8 class indices, 255 = void."""
    return np.asarray(open_mask(path))


def _decode(path: Path) -> Image.Image:
    from PIL import Image

    try:
        with Image.open(path) as image:
            image.load()
            return image
    except FileNotFoundError as error:
        raise DataError(f"{path.name} must exist", got="no such file") from error
    except (
        OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error,
        Image.DecompressionBombError,
    ) as error:  # fmt: skip
        reason = " ".join(str(error).replace(repr(str(path)), "it").split())
        raise DataError(f"{path.name} must be a whole image", got=reason) from error
