"""Which photos are meant on a command line, and what a network is sent of one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from seglock.data.names import IMAGE_SUFFIXES
from seglock.errors import DataError, as_command
from seglock.serving.envelope import CHUNK

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image

ENVELOPE = ".enc.png"
"""How the names of encrypted photos end."""


@dataclass(frozen=True)
class Photo:
    """A file to work on, and its name for what is made of it: its path within the folder that was
    given, without ending."""

    path: Path
    name: str


def find_photos(
    given: Sequence[Path], out: Path, *, endings: tuple[str, ...] = IMAGE_SUFFIXES
) -> list[Photo]:
    """The files, and those in the folders that end as photos do, in order of their paths.

    What lies in ``out`` is left aside, and so are hidden files and, unless they are asked for,
    envelopes. Raises DataError for what is not there, for none at all, and where two have one
    name.
    """
    found = [photo for place in given for photo in _within(place, out.absolute(), endings)]
    if not found:
        raise DataError(
            "there must be photos to work on",
            got=f"none in {', '.join(map(str, given))}",
            fix=f"their names end in {', '.join(endings)}",
        )
    named: dict[str, Path] = {}
    for photo in found:
        if named.setdefault(photo.name, photo.path) != photo.path:
            raise DataError(
                "photos must differ in their names, without the ending",
                got=f"{named[photo.name]} and {photo.path}",
                fix="run the command for each, with another folder for what it writes",
            )
    return [Photo(path, name) for name, path in named.items()]


def _within(place: Path, out: Path, endings: tuple[str, ...]) -> Iterator[Photo]:
    if not place.exists():
        raise DataError(f"{place} must be a photo or a folder of photos", got="no such file")
    if not place.is_dir():
        yield Photo(place, _bare(Path(place.name), endings))
        return
    for path in sorted(place.rglob("*")):
        inner = path.relative_to(place)
        hidden = any(part.startswith(".") for part in inner.parts)
        wanted = path.name.lower().endswith(endings)
        sealed = path.name.lower().endswith(ENVELOPE) and ENVELOPE not in endings
        within_out = path.absolute().is_relative_to(out) and out != place.absolute()
        if wanted and not (hidden or sealed or within_out) and path.is_file():
            yield Photo(path, _bare(inner, endings))


def _bare(path: Path, endings: tuple[str, ...]) -> str:
    for ending in endings:
        if path.name.lower().endswith(ending):
            return path.as_posix()[: -len(ending)]
    return path.with_suffix("").as_posix()


def open_photo(photo: str | Path | Image.Image | NDArray[np.uint8]) -> Image.Image:
    """A photo as 8-bit RGB: a file, upright; a picture of Pillow's, as it is held; an array
    (H, W, 3) uint8.

    Raises DataError for what cannot be read, and for other depths, colours and shapes.
    """
    import numpy as np
    from PIL import Image

    from seglock.data.pictures import open_image

    if isinstance(photo, str | Path):
        opened = open_image(Path(photo))
        if CHUNK in opened.info:
            raise DataError(
                "a photo must not be encrypted yet",
                got="an envelope",
                fix="`seglock decrypt` opens it",
            )
        return opened
    if isinstance(photo, np.ndarray):
        if photo.dtype != np.uint8 or photo.ndim != 3 or photo.shape[2] != 3 or not photo.size:
            raise DataError(
                "an array of a photo must be uint8 of shape (H, W, 3)",
                got=f"{photo.dtype} of shape {photo.shape}",
                fix="give values 0 to 255, rows first, red, green and blue last",
            )
        return Image.fromarray(photo)
    if not isinstance(photo, Image.Image):
        raise DataError(
            "a photo must be a path, a picture of Pillow's, or an array (H, W, 3) of uint8",
            got=type(photo).__name__,
        )
    if photo.mode not in ("RGB", "L"):
        raise DataError(
            "a picture must have 8 bits a channel, grey or RGB",
            got=f"mode {photo.mode}",
            fix='give picture.convert("RGB"), once you have seen what becomes of its values',
        )
    return photo.convert("RGB")


def output_path(photo: Photo, out: Path, ending: str) -> Path:
    """Where what is made of a photo goes. Raises DataError where that is the photo itself."""
    path = out / f"{photo.name}{ending}"
    if path.exists() and path.samefile(photo.path):
        raise DataError(
            "what is made of a photo must not take its place",
            got=str(path),
            fix=f"name another folder, for example {as_command('-o', 'out')}",
        )
    return path
