"""Which ids train, validate and test: lists of a VOC folder, and a seeded hold-out."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from seglock.data.layout import VOID, VocFolder
from seglock.data.names import BACKGROUND, find_class, is_background
from seglock.errors import DataError, nearest_name

if TYPE_CHECKING:
    from seglock.config import DataParams

EXTRA = "extra"
SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class Member:
    """One image of a split: its id and the folder that holds it."""

    id: str
    folder: VocFolder


def hold_out(ids: Sequence[str], count: int, seed: int) -> tuple[list[str], list[str]]:
    """Split ``ids`` into (kept, held out), both in their old order.

    The held-out ones have the ``count`` smallest SHA-256 of ``seed:id``: the same on every
    platform and version, and adding an id moves at most one other.

    >>> hold_out(["a", "b", "c", "d"], 1, seed=0)
    (['a', 'b', 'c'], ['d'])
    """
    if not 0 < count < len(ids):
        raise DataError(
            "data.val_split must leave at least one training image",
            got=f"{count} of {len(ids)} images",
            fix=f"use 1 to {len(ids) - 1}",
        )
    ranked = sorted(ids, key=lambda name: hashlib.sha256(f"{seed}:{name}".encode()).digest())
    chosen = set(ranked[:count])
    return [i for i in ids if i not in chosen], [i for i in ids if i in chosen]


def used_lists(params: DataParams) -> list[str]:
    """Names of the lists that a configuration reads; each serves one split only."""
    named = [params.val_split] if isinstance(params.val_split, str) else []
    return [params.train_split, *named, params.test_split]


def train_count(params: DataParams, images: Mapping[str, int]) -> int | None:
    """How many images remain to train on, of lists that name so many; None where they do not tell.

    >>> from seglock.config import DataParams
    >>> train_count(DataParams(val_split=64), {"train": 640, "val": 128})
    576
    """
    held = params.val_split if isinstance(params.val_split, int) else 0
    named = images.get(params.train_split)
    return None if named is None or params.extra_source else named - held


def choose_splits(params: DataParams, raw: Path) -> dict[str, list[Member]]:
    """The members of train, val and test of a raw folder, its ``extra/`` added to train.

    Raises DataError when an extra image is also one of val or test.
    """
    folder = VocFolder(raw)
    train = folder.ids(params.train_split)
    if isinstance(params.val_split, str):
        val = folder.ids(params.val_split)
    else:
        train, val = hold_out(train, params.val_split, params.split_seed)
    test = folder.ids(params.test_split)
    chosen = {
        name: [Member(i, folder) for i in ids]
        for name, ids in zip(SPLITS, (train, val, test), strict=True)
    }
    if params.extra_source is not None:
        extra = VocFolder(raw / EXTRA)
        ids = extra.ids(params.train_split)
        leaked = sorted(set(ids) & {*val, *test})
        if leaked:
            raise DataError(
                "data.extra_source must hold no image of the validation or test split",
                got=f"{len(leaked)} of them: {', '.join(leaked[:5])}{', ...' * (len(leaked) > 5)}",
                fix="remove these ids from its list",
            )
        known = set(train)
        chosen["train"] += [Member(i, extra) for i in ids if i not in known]
    return chosen


def select_classes(
    names: Sequence[str], wanted: Sequence[str] | None
) -> tuple[tuple[str, ...], bytes]:
    """Choose classes by name.

    Returns the kept names in index order and a 256-byte table from old to new index, in which
    whatever is not kept becomes void (255). A class 0 that is the background is always kept.

    >>> kept, table = select_classes(["background", "cat", "dog"], ["dog"])
    >>> kept, list(table[:4])
    (('background', 'dog'), [0, 255, 1, 255])
    """

    found = {name: find_class(name, names) for name in wanted or ()}
    unknown = [name for name, match in found.items() if match is None]
    if unknown:
        raise DataError(
            "data.classes must name classes of the dataset",
            got=", ".join(map(repr, unknown)),
            fix="; ".join(nearest_name(name, names) for name in unknown),
        )
    kept = [
        index
        for index, name in enumerate(names)
        if wanted is None or name in found.values() or (index == 0 and is_background(name))
    ]
    if len(kept) < 2:
        raise DataError(
            "data.classes must leave at least two classes",
            got=", ".join(names[index] for index in kept) or "none",
            fix="add a class, or use null for all",
        )
    table = bytearray([VOID]) * 256
    for new, old in enumerate(kept):
        table[old] = new
    return tuple(names[index] for index in kept), bytes(table)


def selection_notes(names: Sequence[str], kept: Sequence[str]) -> list[str]:
    """What choosing classes did to the background and to void, where a name leaves it open.

    >>> selection_notes(["void", "cat", "dog"], ["cat", "dog"])
    ['void is not in data.classes: its pixels are void, no background']
    >>> selection_notes(["road", "void"], ["road", "void"])
    ['void is trained as a class; pixels to leave out are those of label 255']
    """
    lost = [n for i, n in enumerate(names) if n not in kept and (i == 0 or is_background(n))]
    if lost:
        return [f"{', '.join(lost)} is not in data.classes: its pixels are void, no background"]
    named = is_background(names[0]) and names[0] != BACKGROUND
    notes = [f"class 0, {names[0]}, is kept as the background"] * named
    void = [name for name in kept if name.casefold() in ("void", "ignore", "ignored", "unknown")]
    return notes + [
        f"{name} is trained as a class; pixels to leave out are those of label {VOID}"
        for name in void
    ]
