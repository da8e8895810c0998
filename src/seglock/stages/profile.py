"""Profiles: alternatives to params.yaml under ``profiles/``, each as what it changes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seglock import files
from seglock.config import Params, load_params, load_profile, merge_profile
from seglock.config.profile import DEFAULT
from seglock.errors import ConfigError, nearest_name, printable

FOLDER = "profiles"


@dataclass(frozen=True)
class Profile:
    """A profile's name, the first comment line of its file, and whether params.yaml is it."""

    name: str
    summary: str
    in_use: bool


@dataclass(frozen=True)
class Difference:
    """A value of params.yaml by its name, before and after as text; ``absent`` where it is not."""

    name: str
    before: str
    after: str


def list_profiles(root: Path) -> list[Profile]:
    """All profiles of the project, by name."""
    current = _bytes(root / "params.yaml")
    return [Profile(path.stem, _summary(path), _is(path, current)) for path in _paths(root)]


def use_profile(root: Path, name: str, *, force: bool = False) -> None:
    """Write params.yaml as a profile has it: its values over those of its base, with comments.

    Raises ConfigError for an unknown or faulty profile, and, unless ``force``, when params.yaml
    is none of the profiles, since changes in it would be lost.
    """
    text = merge_profile(_path(root, name))
    current = _bytes(root / "params.yaml")
    if current and not force and not any(_is(path, current) for path in _paths(root)):
        raise ConfigError(
            "params.yaml must be one of the profiles to be replaced without loss",
            got="a params.yaml with changes of your own",
            fix=f"save it (cp params.yaml {FOLDER}/mine.yaml), or repeat with --force",
        )
    files.write_bytes(root / "params.yaml", text.encode())


def diff_profile(root: Path, name: str | None = None) -> list[Difference]:
    """What `use_profile` would change in params.yaml; without a name, what params.yaml changes
    against the default profile.

    Raises ConfigError for an unknown or faulty profile, and a faulty params.yaml.
    """
    current = load_params(root / "params.yaml")
    other = load_profile(_path(root, name or DEFAULT))
    before, after = (other, current) if name is None else (current, other)
    return list(_changes(_plain(before), _plain(after)))


def _plain(params: Params) -> dict[str, Any]:
    locks = {name: lock.model_dump(exclude_defaults=True) for name, lock in params.locks.items()}
    return params.model_dump(mode="json") | {"locks": locks}


def _changes(before: Any, after: Any, place: str = "") -> Iterator[Difference]:
    if isinstance(before, dict) and isinstance(after, dict):
        for name in before | after:
            at = f"{place}.{name}" if place else name
            yield from _changes(before.get(name, ...), after.get(name, ...), at)
    elif before != after:
        yield Difference(place, _shown(before), _shown(after))


def _shown(value: Any) -> str:
    if value is ...:
        return "absent"
    return printable(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))


def _path(root: Path, name: str) -> Path:
    known = {path.stem: path for path in _paths(root)}
    if name not in known:
        raise ConfigError(
            "a profile must be a file in profiles/", got=repr(name), fix=nearest_name(name, known)
        )
    return known[name]


def _paths(root: Path) -> list[Path]:
    paths = sorted((root / FOLDER).glob("*.yaml"))
    if not paths:
        raise ConfigError(
            f"the project must have {FOLDER}/*.yaml",
            got=f"none in {root}",
            fix="run seglock in the project's folder",
        )
    return paths


def _is(path: Path, current: bytes) -> bool:
    """Whether params.yaml is a profile; most differ in their first line and need no merging."""
    if not current.startswith(_first(path.read_bytes())):
        return False
    try:
        return merge_profile(path).encode() == current
    except ConfigError:
        return False


def _first(content: bytes) -> bytes:
    return content.split(b"\n", 1)[0].rstrip()


def _bytes(path: Path) -> bytes:
    return path.read_bytes() if path.is_file() else b""


def _summary(path: Path) -> str:
    first = path.read_text(encoding="utf-8").split("\n", 1)[0]
    return first.removeprefix("#").strip()
