"""Whether a folder that the dataset was copied from has changed since: DVC watches no folder of
the user's, only what is in the project."""

from __future__ import annotations

import filecmp
from collections.abc import Iterator, Sequence
from pathlib import Path

from seglock.data.layout import CLASSES_FILE, VocFolder, find_voc_folder
from seglock.data.names import IMAGES, MASKS


def changed_files(source: Path, raw: Path, lists: Sequence[str]) -> list[str]:
    """What ``seglock data get`` would copy from folder ``source`` otherwise than ``raw`` has it.

    Compares bytes, no times, so that a checkout by DVC or git makes no difference. Raises
    DataError for a folder that cannot be read as a dataset.
    """
    ours = VocFolder(Path(raw))
    theirs = find_voc_folder(Path(source))
    changed = [CLASSES_FILE] if ours.classes != theirs.classes else []
    for split in lists:
        ids = theirs.ids(split)
        if split not in ours.lists or ids != ours.ids(split):
            changed.append(theirs.list_path(split).name)
        changed += [name for i in ids for name in _differing(ours, theirs, i)]
    return list(dict.fromkeys(changed))


def _differing(ours: VocFolder, theirs: VocFolder, name: str) -> Iterator[str]:
    for place, mine, other in (
        (IMAGES, ours.images(name), theirs.images(name)),
        (MASKS, ours.masks(name), theirs.masks(name)),
    ):
        pairs = zip(mine, other, strict=False)
        same = len(mine) == len(other) and all(
            a.suffix == b.suffix and filecmp.cmp(a, b, shallow=False) for a, b in pairs
        )
        if not same:
            yield f"{place}/{name}"
