"""Names as people write them: ids of images in lists and on disk, and names of classes."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from pathlib import PurePosixPath

BACKGROUND = "background"
IMAGES = "JPEGImages"
MASKS = "SegmentationClass"
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")
MASK_SUFFIXES = (".png",)
_BACKGROUNDS = {BACKGROUND, "bg", "unlabeled", "unlabelled"}


def composed(text: str) -> str:
    """Text in Unicode's composed form (NFC): a name typed and the same name on a disk are equal."""
    return unicodedata.normalize("NFC", text)


def file_id(name: str) -> str:
    """The id of a file: its name without folder and suffix, composed."""
    return composed(PurePosixPath(name).stem)


def read_id(line: str) -> str:
    """The id that a line of a list means; a line that means none for certain stays as it is.

    An id may have its suffix or its folder, and the mask's file may follow that of the image.

    >>> read_id("a.b"), read_id("a.JPG"), read_id("/JPEGImages/a.jpg SegmentationClass/a.png")
    ('a.b', 'a', 'a')
    >>> read_id("a 1"), read_id("elsewhere/a.jpg"), read_id("a.jpg b.png")
    ('a 1', 'elsewhere/a.jpg', 'a.jpg b.png')
    """
    line = composed(line.strip())
    files = [PurePosixPath(word.lstrip("/")) for word in line.replace("\\", "/").split()]
    if len(files) == 1 and len(files[0].parts) == 1 and files[0].suffix.lower() not in _SUFFIXES:
        return line
    named = {file.stem for file in files}
    if len(files) > 2 or len(named) != 1 or not all(map(_is_ours, files)):
        return line
    return named.pop()


_SUFFIXES = {*IMAGE_SUFFIXES, *MASK_SUFFIXES}


def _is_ours(file: PurePosixPath) -> bool:
    return file.suffix.lower() in _SUFFIXES and str(file.parent) in (".", IMAGES, MASKS)


def is_id(name: str) -> bool:
    """Whether an id can be the name of a file in the dataset's own folders, and be printed."""
    whole = name.isprintable() and not any(map(str.isspace, name))
    return whole and not {"/", "\\"} & set(name) and name not in (".", "..")


def class_list_fault(names: Sequence[str]) -> str | None:
    """What is wrong with names of classes in index order, if anything."""
    twice = sorted({name for name in names if name and names.count(name) > 1})
    hidden = [ascii(name) for name in names if not name.isprintable()]
    if "" in names:
        return f"an empty line {names.index('') + 1}, which would move the indices after it"
    if hidden:
        return f"characters that cannot be seen in {', '.join(hidden)}"
    return f"{', '.join(twice)} twice" if twice else None


def is_background(name: str) -> bool:
    """Whether a class is the background by one of the names that people give it.

    >>> is_background("_background_"), is_background("BG"), is_background("void")
    (True, True, False)
    """
    return re.sub(r"[\W_]", "", name).casefold() in _BACKGROUNDS


def find_class(wanted: str, names: Sequence[str]) -> str | None:
    """The one class called ``wanted``, exactly or else in other case or Unicode form; else None."""
    for form in (composed, lambda name: unicodedata.normalize("NFKC", name).casefold()):
        found = [name for name in names if form(name) == form(wanted)]
        if found:
            return found[0] if len(found) == 1 else None
    return names[0] if names and is_background(names[0]) and is_background(wanted) else None
