"""A profile for a folder of the user's own: lists, classes, sides, a network for this machine."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from seglock.errors import DataError
from seglock.foreign import is_name
from seglock.variables import variables

if TYPE_CHECKING:
    from collections.abc import Collection

    from seglock.data import Findings

LEAST_TRAIN, LEAST_HELD_OUT = 16, 4
_LOOKED_AT = 50
_BASES = {False: ("camvid-small", 64, 60_000), True: ("camvid", 256, 200_000)}
"""Without and with a GPU: the profile whose recipe is taken, the most pixels of a side, and how
many images a training sees about."""

_PROFILE = """\
# {title}
base: {base}

data:
  dataset: {name}
  source: {source}   # copied to data/raw when the pipeline runs
  classes: {classes}   # those that the training masks show
  val_split: {val}
  test_split: {test}
  image_side: {side}

locks:
  baseline: {{steps: []}}
  shf-4: {{steps: [shf-4]}}
  np-4: {{steps: [np-4]}}
  ffx-4: {{steps: [ffx-4]}}
  np-8-refuse: {{steps: [np-8], refuse: 0.2}}   # taught to answer one class without the key

train:
  epochs: {epochs}
  batch_size: {batch}

evaluate:
  wrong_keys: 20

tracking:
  experiment: seglock-{name}

attack:
  names: [unsupervised, finetune, block-adapter, ciphertext-only, known-plaintext, key-proximity]
  queries: 500
  seconds: 20.0
  labelled: [10]
"""


@dataclass(frozen=True)
class OwnData:
    """A folder's profile, and what it says in short."""

    name: str
    text: str
    notes: list[str]


def own_profile(found: Findings, *, taken: Collection[str], gpu: bool) -> OwnData:
    """The profile for what `seglock data check` found in a sound folder.

    ``taken``: names that other profiles have. Raises DataError where there are too few images or
    no list to test on.
    """
    val, test, train = require_enough(found)
    base, most, seen = _BASES[gpu]
    side = _side(found, most)
    epochs = min(60 if not gpu else 200, max(20, seen // train))
    classes = _classes(found)
    name = _name(found.folder.name, taken)
    values = {
        "base": base,
        "name": name,
        "source": _source(found.folder),
        "classes": json.dumps(classes, ensure_ascii=False),
        "val": val,
        "test": test,
        "side": side,
        "epochs": epochs,
        "batch": max(4, min(16, train // 4)),
    }
    how = "with" if gpu else "without"
    title = f"{name}: {len(classes)} classes, {train} training images at {side}, {how} a GPU"
    absent = [c for c in _foreground(found) if c not in classes]
    notes = [f"left out, since no training mask shows them: {', '.join(absent)}"] * bool(absent)
    return OwnData(name, _PROFILE.format(title=title, **values), notes)


def require_enough(found: Findings) -> tuple[int | str, str, int]:
    """Where validation images come from, the list to test on, and how many remain to train on.

    Raises DataError where there are too few of either.
    """
    have = found.images
    test = next((name for name in ("test", "val") if name in have), None)
    if "train" not in have or test is None:
        raise DataError(
            f"{found.folder} must have a list train, and val or test beside it",
            got=", ".join(have) or "no lists",
            fix="write one id a line into ImageSets/Segmentation/train.txt and test.txt",
        )
    if test == "test" and "val" in have:
        val: int | str = "val"
        train, held = have["train"], have["val"]
    else:
        val = held = max(LEAST_HELD_OUT, have["train"] // 10)
        train = have["train"] - held
    counts = {"train": (train, LEAST_TRAIN), "val": (held, LEAST_HELD_OUT)}
    counts[f"test ({test})"] = (have[test], LEAST_HELD_OUT)
    few = [f"{name} {n} of {least}" for name, (n, least) in counts.items() if n < least]
    if few:
        raise DataError(
            "a dataset must have enough images to train, choose and test with",
            got=f"{', '.join(few)}, in {found.folder}",
            fix="add some to its lists; a study that says anything takes hundreds",
        )
    return val, test, train


def _foreground(found: Findings) -> list[str]:
    from seglock.data.names import is_background

    return [name for i, name in enumerate(found.classes) if i or not is_background(name)]


def _classes(found: Findings) -> list[str]:
    """Names of the classes that occur in training masks, but for the background."""
    shown = found.pixels["train"]
    foreground = _foreground(found)
    return [n for i, n in enumerate(found.classes) if n in foreground and shown[i]]


def _side(found: Findings, most: int) -> int:
    """The largest power of two, from 32 to ``most``, that is no larger than most photos."""
    from seglock.data.layout import VocFolder
    from seglock.data.pictures import open_image

    folder = VocFolder(found.folder)
    ids = folder.ids("train")[:_LOOKED_AT]
    shorter = sorted(min(open_image(folder.images(name)[0]).size) for name in ids)
    return min(most, max(32, 1 << (shorter[len(shorter) // 2].bit_length() - 1)))


def _name(folder: str, taken: Collection[str]) -> str:
    name = re.sub(r"[^a-z0-9_.-]+", "-", folder.casefold()).strip("-._")[:40]
    name = name if is_name(name) else "own"
    return f"{name}-own" if name in {*taken, "synthetic", "voc2012"} else name


def _source(folder: Path) -> str:
    path = str(folder.resolve())
    if variables(path):
        raise DataError(
            "the path of a dataset must have no $",
            got=path,
            fix="rename that folder, or give a link to it",
        )
    return json.dumps(path, ensure_ascii=False)
