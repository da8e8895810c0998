"""Take the part of an archive that is a VOC dataset: bytes of its members to names of ours.

No member decides where anything is written. What is taken are plain files, up to a bound, and links
to them inside the archive, by content; everything else in it is left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from seglock.data.archive_members import Archive, Limit, opened
from seglock.data.layout import CLASSES_FILE, LISTS, VocFolder, by_id, only_place
from seglock.data.names import IMAGES, MASKS, is_id

_MOST_TEXT = 16 << 20
_MOST_PICTURE = 512 << 20


def extract_voc(path: Path, lists: Sequence[str], folder: Path) -> VocFolder:
    """Write the lists of the VOC folder in a tar or zip to ``folder``, with what they name.

    Raises DataError for a file that is neither, is cut off, is not as any honest archive, or holds
    no such dataset.
    """
    with opened(path) as archive:
        root = _root(archive, path)
        limit = Limit.of(path)

        def take(members: Sequence[tuple[str, Path]], most: int) -> None:
            """Write members in the order in which they lie in the archive."""
            for member, target in sorted(members, key=lambda pair: archive.place(pair[0])):
                with target.open("xb") as file:
                    for chunk in archive.chunks(member, most):
                        limit.spend(len(chunk))
                        file.write(chunk)

        for place in (LISTS, IMAGES, MASKS):
            (folder / place).mkdir(parents=True)
        take(_texts(archive, root, folder), _MOST_TEXT)
        names = {place: archive.files_in(root, place) for place in (IMAGES, MASKS)}
        voc = VocFolder(folder, {place: by_id(found) for place, found in names.items()})
        ids = {name for split in lists for name in voc.ids(split) if is_id(name)}
        pictures = [
            (names[place][file.name], folder / place / (name + file.suffix))
            for name in ids
            for place in (IMAGES, MASKS)
            for file in voc.files(place, name)
            if is_id(name + file.suffix)
        ]
        take(pictures, _MOST_PICTURE)
    return VocFolder(folder)


def _texts(archive: Archive, root: str, folder: Path) -> list[tuple[str, Path]]:
    """The lists and the names of classes, each with its place."""
    found = [
        (member, folder / LISTS / name)
        for name, member in archive.files_in(root, LISTS).items()
        if name.endswith(".txt") and is_id(name.removesuffix(".txt")) and name[0] != "."
    ]
    if (member := archive.files_in(root, ".").get(CLASSES_FILE)) is not None:
        found.append((member, folder / CLASSES_FILE))
    return found


def _root(archive: Archive, path: Path) -> str:
    """The folder in the archive that `find_voc_folder` would find, were it unpacked."""
    tail = PurePosixPath(LISTS).parts
    roots = {
        "/".join(PurePosixPath(folder).parts[: -len(tail)])
        for folder in archive.folders
        if PurePosixPath(folder).parts[-len(tail) :] == tail
    }

    def fitting(place: str) -> list[str]:
        depth = place.count("/"), bool(place)
        deep = (root for root in roots if (root.count("/"), bool(root)) == depth)
        return sorted(root for root in deep if fnmatchcase(root, place))

    return only_place(path, fitting)
