"""The PASCAL VOC layout: where a dataset's lists, images and masks are, and how to read them.

ROOT/JPEGImages/ID.jpg|jpeg|png|bmp|webp  8-bit images
ROOT/SegmentationClass/ID.png            palette or grey masks of class indices, 255 = void
ROOT/ImageSets/Segmentation/SPLIT.txt    one id a line
ROOT/classes.txt                         one name a line, in index order; PASCAL VOC itself has none
"""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from seglock.data.names import (
    BACKGROUND,
    IMAGE_SUFFIXES,
    IMAGES,
    MASK_SUFFIXES,
    MASKS,
    class_list_fault,
    composed,
    file_id,
    read_id,
)
from seglock.errors import DataError
from seglock.foreign import read_plain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

_MOST_TEXT = 16 << 20
_PASCAL_ID = re.compile(r"20\d\d_\d{6}")
VOID = 255
LISTS = "ImageSets/Segmentation"
CLASSES_FILE = "classes.txt"
PLACES = ("", "VOC2012", "VOCdevkit/VOC2012", "VOCdevkit/*", "*/VOCdevkit/VOC2012", "*")
"""Where in a folder or an archive the dataset may be; the first place that has one counts."""
VOC_CLASSES = (
    BACKGROUND, "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair",
    "cow", "diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa",
    "train", "tvmonitor",
)  # fmt: skip


@dataclass(frozen=True)
class VocFolder:
    """One dataset in the VOC layout. The folder is listed once, when first asked for."""

    root: Path
    _names: dict[str, Mapping[str, list[str]]] = field(
        default_factory=dict, repr=False, compare=False
    )

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """Class names in index order, from classes.txt, or else PASCAL VOC's for photos of it.

        Raises DataError for a file that is missing, or does not name classes.
        """
        return VOC_CLASSES if self.is_pascal else read_classes(self.root)

    @cached_property
    def is_pascal(self) -> bool:
        """Whether all ids are those of PASCAL VOC, and no classes.txt says what its labels mean."""
        if (self.root / CLASSES_FILE).exists():
            return False
        with contextlib.suppress(DataError):
            ids = [name for split in self.lists for name in self.ids(split)]
            return bool(ids) and all(map(_PASCAL_ID.fullmatch, ids))
        return False

    @property
    def lists(self) -> list[str]:
        """Names of all lists, sorted."""
        return sorted(composed(path.stem) for path in (self.root / LISTS).glob("*.txt"))

    def ids(self, split: str) -> list[str]:
        """The ids of one list, in its order, as ``read_id`` reads each; blank lines are skipped."""
        path = self.list_path(split)
        try:
            text = _read_text(path, self.root)
        except FileNotFoundError as error:
            known = ", ".join(self.lists) or "no lists at all"
            raise DataError(
                f"{path} must exist", got="no such list", fix=f"that folder has {known}"
            ) from error
        except (OSError, UnicodeDecodeError) as error:
            raise _unreadable(path, error) from error
        lines = [composed(line.strip()) for line in text.split("\n") if line.strip()]
        return [line if self.images(line) else read_id(line) for line in lines]

    def list_path(self, split: str) -> Path:
        """Where the list of a split is, in whatever Unicode form its name is stored."""
        folder = self.root / LISTS
        same = (f for f in folder.glob("*.txt") if composed(f.stem) == composed(split))
        return next(same, folder / f"{split}.txt")

    def images(self, name: str) -> list[Path]:
        """All image files of an id: one in a sound dataset."""
        return [f for f in self.files(IMAGES, name) if f.suffix.lower() in IMAGE_SUFFIXES]

    def masks(self, name: str) -> list[Path]:
        """All mask files of an id: one in a sound dataset."""
        return [f for f in self.files(MASKS, name) if f.suffix.lower() in MASK_SUFFIXES]

    def files(self, folder: str, name: str) -> list[Path]:
        """All files of an id in one of the two folders, of whatever kind."""
        return [self.root / folder / file for file in self._files(folder).get(name, [])]

    def _files(self, folder: str) -> Mapping[str, list[str]]:
        if folder not in self._names:
            where = self.root / folder
            self._names[folder] = by_id(p.name for p in where.iterdir()) if where.is_dir() else {}
        return self._names[folder]


def by_id(names: Iterable[str]) -> dict[str, list[str]]:
    """The names of files by the id that each has."""
    found: dict[str, list[str]] = {}
    for name in sorted(names):
        found.setdefault(file_id(name), []).append(name)
    return found


def find_voc_folder(path: Path) -> VocFolder:
    """The VOC folder at ``path``, or the one inside it (``VOCdevkit/VOC2012``).

    Raises DataError when there is none, or several.
    """
    path = Path(path)
    if not path.is_dir():
        raise DataError("a dataset's folder must exist", got=str(path), fix="check the path")

    def fitting(place: str) -> list[str]:
        folders = sorted(path.glob(place)) if place else [path]
        return [str(f.relative_to(path)) for f in folders if (f / LISTS).is_dir()]

    return VocFolder(path / only_place(path, fitting))


def only_place(path: Path, fitting: Callable[[str], list[str]]) -> str:
    """Where in ``path``, a folder or an archive, the dataset is.

    ``fitting`` gives what is one at each of ``PLACES``. Raises DataError for none, or several.
    """
    for place in PLACES:
        found = fitting(place)
        if len(found) == 1:
            return found[0]
        if found:
            raise DataError(
                f"{path} must hold one dataset",
                got=", ".join(found),
                fix="name one of these folders, those of an archive once it is unpacked",
            )
    raise DataError(
        f"{path} must be in the PASCAL VOC layout",
        got=f"no {LISTS} folder in it",
        fix=f"it needs {IMAGES}/, {MASKS}/ and {LISTS}/*.txt",
    )


def read_classes(root: Path) -> tuple[str, ...]:
    """Class names in index order from ``root/classes.txt``."""
    path = Path(root) / CLASSES_FILE
    fix = "write one class a line, in the order of the masks' indices"
    try:
        text = _read_text(path, Path(root))
    except FileNotFoundError as error:
        raise DataError(f"{path} must name the classes", got="no such file", fix=fix) from error
    except (OSError, UnicodeDecodeError) as error:
        raise _unreadable(path, error) from error
    names = tuple(composed(line.strip()) for line in text.rstrip().split("\n") if text.strip())
    fault = class_list_fault(names)
    if fault or not 2 <= len(names) <= VOID:
        raise DataError(
            f"{path} must name 2 to {VOID} different classes",
            got=fault or f"{len(names)} names",
            fix=fix,
        )
    return names


def _read_text(path: Path, root: Path) -> str:
    """A list or the names of classes; a link out of the dataset would show what it leads to."""
    return read_plain(path, within=root, most=_MOST_TEXT).decode("utf-8-sig")


def _unreadable(path: Path, error: OSError | UnicodeDecodeError) -> DataError:
    reason = error.strerror if isinstance(error, OSError) else str(error)
    return DataError(f"{path} must be readable text", got=reason)
