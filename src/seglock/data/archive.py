"""Take the part of a tar file that is a VOC dataset."""

from __future__ import annotations

import tarfile
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from seglock.data.layout import CLASSES_FILE, LISTS, VocFolder, find_voc_folder
from seglock.data.names import IMAGES, MASKS, file_id
from seglock.errors import DataError


def extract_voc(path: Path, lists: Sequence[str], folder: Path) -> VocFolder:
    """Extract the lists of a VOC folder inside a tar, and the images and masks that they name.

    Nothing else is written, and nothing outside ``folder``. Raises DataError for a file that is
    no tar, is cut off, or holds no such dataset.
    """
    try:
        with tarfile.open(path) as tar:
            members = tar.getmembers()
            _extract(tar, [m for m in members if _is_text(m.name)], folder)
            voc = find_voc_folder(folder)
            wanted = {name for split in lists for name in voc.ids(split)}
            _extract(tar, [m for m in members if _is_picture(m.name, wanted)], folder)
    except (tarfile.TarError, EOFError) as error:
        raise DataError(
            f"{path} must be a whole tar file with safe paths",
            got=str(error),
            fix="fetch it again, or unpack it yourself and name the folder",
        ) from error
    return VocFolder(voc.root)


def _extract(tar: tarfile.TarFile, members: list[tarfile.TarInfo], folder: Path) -> None:
    tar.extractall(folder, members=members, filter="data")


def _is_text(name: str) -> bool:
    path = PurePosixPath(name)
    return path.name == CLASSES_FILE or (path.suffix == ".txt" and str(path.parent).endswith(LISTS))


def _is_picture(name: str, wanted: set[str]) -> bool:
    path = PurePosixPath(name)
    return path.parent.name in (IMAGES, MASKS) and file_id(name) in wanted
