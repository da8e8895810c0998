"""Any source -> one raw folder in the VOC layout that owns its files."""

from __future__ import annotations

import errno
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from seglock.data.archive import extract_voc
from seglock.data.check import Progress, check_dataset
from seglock.data.download import download, is_url, matches, split_digest
from seglock.data.layout import CLASSES_FILE, LISTS, VocFolder, find_voc_folder
from seglock.data.names import IMAGES, MASKS
from seglock.data.problems import require_sound
from seglock.data.sources import VOC2012_ADVICE, VOC2012_DIGEST, VOC2012_URL, resolve_source
from seglock.data.splits import EXTRA, used_lists
from seglock.data.synthetic import write_synthetic
from seglock.errors import DataError
from seglock.files import replacing_folder, write_text
from seglock.variables import showing

if TYPE_CHECKING:
    from seglock.config import DataParams

_PICTURES = (b"\xff\xd8\xff", b"\x89PNG", b"BM", b"RIFF")
DOWNLOADS = Path(".seglock/downloads")


@dataclass(frozen=True)
class _Source:
    """Where a dataset comes from, what is taken of it, and where to unpack it."""

    text: str
    lists: list[str]
    downloads: Path
    scratch: Path
    digest: str | None = None
    advice: str = ""


def get_dataset(
    params: DataParams,
    target: Path,
    *,
    progress: Progress | None = None,
    downloads: Path = DOWNLOADS,
) -> None:
    """Write the raw dataset to ``target``, whole or not at all: a copy that owns its files.

    Only the lists in use and their images and masks are taken, with ``classes.txt``; the images
    of ``extra_source`` go to ``target/extra``. Raises DataError for a source that cannot be had
    or lacks files; ``target`` is then as it was before.
    """
    target = Path(target)
    with replacing_folder(target) as folder:
        if params.dataset == "synthetic":
            write_synthetic(params.synthetic, folder, progress=progress)
        else:
            text = params.source or VOC2012_URL  # no other set may leave it out
            about = (VOC2012_DIGEST, VOC2012_ADVICE) if params.dataset == "voc2012" else ()
            source = _Source(text, used_lists(params), downloads, folder, *about)
            _take(source, folder, target, progress)
        if params.extra_source is not None:
            extra = _Source(params.extra_source, [params.train_split], downloads, folder)
            _take(extra, folder / EXTRA, target, progress)


def _take(source: _Source, folder: Path, target: Path, progress: Progress | None) -> None:
    """Copy a source to ``folder``, which will become ``target`` or a part of it."""
    with showing(source.text):
        path = _fetch(source, progress)
        if path.is_dir():
            real, place = path.resolve(), target.resolve()
            if place in (real, *real.parents):
                raise DataError(
                    "data.source must not lie in the folder it is copied to",
                    got=source.text,
                    fix="move it elsewhere; seglock data get replaces that folder",
                )
            _copy(find_voc_folder(path), source.lists, folder, progress)
            return
        # In what becomes the folder: a kill leaves one thing, which the next command clears.
        with tempfile.TemporaryDirectory(prefix=".unpacked.", dir=source.scratch) as unpacked:
            _copy(extract_voc(path, source.lists, Path(unpacked)), source.lists, folder, progress)


def _fetch(source: _Source, progress: Progress | None) -> Path:
    """The folder or archive of a source, downloaded if need be, its digest checked."""
    found = resolve_source(source.text)
    if is_url(found):
        address, own = split_digest(found)
        digest = own or source.digest
        return download(
            address, source.downloads, digest=digest, advice=source.advice, progress=progress
        )
    path = Path(found)
    if not path.exists():
        raise DataError(
            "data.source must be a folder, a tar or zip file or a URL",
            got=f"{source.text} (nothing there)",
            fix="check the path in params.yaml",
        )
    if path.is_file() and source.digest is not None and not matches(path, source.digest):
        raise DataError(
            f"{path} must have {source.digest.replace('=', ' ')}",
            got="another file",
            fix="fetch it again, or unpack it and name the folder if it is what you want",
        )
    return path


def _copy(source: VocFolder, lists: list[str], folder: Path, progress: Progress | None) -> None:
    """Copy what the lists name, under the ids that were read; links are followed.

    So nothing points to the user's files, and no list to a place on the user's machine.
    """
    named = source.is_pascal or (source.root / CLASSES_FILE).exists()
    found = check_dataset(source.root, splits=lists, pixels=not named, progress=progress)
    require_sound(found.problems, source.root)
    for place in (IMAGES, MASKS, LISTS):
        (folder / place).mkdir(parents=True, exist_ok=True)
    write_text(folder / CLASSES_FILE, "\n".join(source.classes) + "\n")
    for split in lists:
        write_text(folder / LISTS / f"{split}.txt", "\n".join(source.ids(split)) + "\n")
    ids = [name for split in lists for name in source.ids(split)]
    for done, name in enumerate(ids, start=1):
        for place, path in ((IMAGES, source.images(name)[0]), (MASKS, source.masks(name)[0])):
            _copy_file(path, folder / place / (name + path.suffix))
        if progress is not None:
            progress("copying images", done, len(ids))


def _copy_file(source: Path, target: Path) -> None:
    """Copy an image; of links, none to a device or to what is no image of the user's."""
    try:
        if not source.is_file():
            raise DataError(f"{source} must be a plain file", got="none, or a link to none")
        if source.is_symlink():
            with source.open("rb") as file:
                if not file.read(16).startswith(_PICTURES):
                    raise DataError(f"{source} must be an image", got="a link to something else")
        shutil.copyfile(source, target)
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EPERM, errno.EIO, errno.ENOENT, errno.EISDIR):
            reason = (error.strerror or str(error)).lower()
            raise DataError(f"{source} must be readable", got=reason) from error
        raise
