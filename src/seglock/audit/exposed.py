"""Encrypted images where others can read them, told without any key: modes, and DVC's cache."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seglock.audit.sources import dvc_repo
from seglock.data.encrypted import NONCE_SIZE
from seglock.errors import as_command

ENCRYPTED = Path("data", "encrypted")
PRIVATE = (ENCRYPTED, Path(".seglock", "attacks"))
_SPLIT = b"\x93NUMPY"  # what an encrypted split holds behind its nonce, and no other file does


@dataclass(frozen=True)
class Exposure:
    """What is open to others, and what closes it."""

    text: str
    fix: str

    def __str__(self) -> str:
        return f"{self.text}; {self.fix}"


def exposures(root: Path) -> Iterator[Exposure]:
    """Everything of the project at ``root`` that should be closed to others and is not."""
    for place in PRIVATE:
        yield from _open_to_others(root, place)
    if (root / ".dvc").is_dir() and (root / "dvc.yaml").is_file():
        yield from _cached(root)


def _open_to_others(root: Path, place: Path) -> Iterator[Exposure]:
    """A tree under ``place`` with a folder that is not 0700 or a file that is not 0600."""
    opened = [
        f"{path.relative_to(root)} (mode {stat.S_IMODE(path.stat().st_mode):04o})"
        for folder in sorted((root / place).glob("*/"))
        for path in (folder, *sorted(folder.rglob("*")))
        if path.exists() and path.stat().st_mode & 0o077
    ]
    if opened:
        text = f"others on this machine can read {_some(opened)}, worth as much as the key"
        yield Exposure(text, f"run {as_command('chmod', '-R', 'go=', place)}")


def _cached(root: Path) -> Iterator[Exposure]:
    """Outputs that put encrypted images into DVC's cache, and those that are there already."""
    with dvc_repo(root) as repo:
        outs = [out for out in repo.index.outs if out.use_cache and _is_encrypted(out, root)]
        cache = Path(repo.cache.local.path)
    if outs:
        sent = ", from where `dvc push` sends them on" if any(out.can_push for out in outs) else ""
        text = f"dvc.yaml has DVC copy {_some(map(str, outs))} into its cache{sent}"
        fix = f"in dvc.yaml give what is under {ENCRYPTED} `cache: false`, then run `dvc commit`"
        yield Exposure(text, fix)
    if splits := [str(path) for path in sorted(cache.rglob("*")) if _is_split(path)]:
        text = f"DVC's cache holds encrypted images: {_some(splits)}"
        fix = "remove these files; `dvc gc -w` does, with all else that the workspace does not name"
        yield Exposure(text, fix)


def _is_encrypted(out: Any, root: Path) -> bool:
    place = (root / ENCRYPTED).resolve()
    path = Path(out.fs_path)
    return path == place or place in path.parents or path in place.parents


def _is_split(path: Path) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(NONCE_SIZE + len(_SPLIT))[NONCE_SIZE:] == _SPLIT


def _some(names: Any, most: int = 3) -> str:
    names = list(names)
    rest = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + rest
