"""Profiles: complete params files under ``profiles/``; one of them is the project's params.yaml."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from seglock import files
from seglock.config import load_params, nearest_name
from seglock.errors import ConfigError

FOLDER = "profiles"


@dataclass(frozen=True)
class Profile:
    """A profile's name, the first comment line of its file, and whether params.yaml is it."""

    name: str
    summary: str
    in_use: bool


def list_profiles(root: Path) -> list[Profile]:
    """All profiles of the project, by name."""
    current = _bytes(root / "params.yaml")
    return [
        Profile(path.stem, _summary(path), path.read_bytes() == current) for path in _paths(root)
    ]


def use_profile(root: Path, name: str, *, force: bool = False) -> None:
    """Copy a profile over params.yaml.

    Raises ConfigError for an unknown or faulty profile, and, unless ``force``, when params.yaml
    is none of the profiles, since changes in it would be lost.
    """
    known = {path.stem: path for path in _paths(root)}
    if name not in known:
        raise ConfigError(
            "a profile must be a file in profiles/", got=repr(name), fix=nearest_name(name, known)
        )
    load_params(known[name])
    current = _bytes(root / "params.yaml")
    if current and not force and current not in {path.read_bytes() for path in known.values()}:
        raise ConfigError(
            "params.yaml must be one of the profiles to be replaced without loss",
            got="a params.yaml with changes of your own",
            fix=f"save it (cp params.yaml {FOLDER}/mine.yaml), or repeat with --force",
        )
    files.write_bytes(root / "params.yaml", known[name].read_bytes())


def _paths(root: Path) -> list[Path]:
    paths = sorted((root / FOLDER).glob("*.yaml"))
    if not paths:
        raise ConfigError(
            f"the project must have {FOLDER}/*.yaml",
            got=f"none in {root}",
            fix="run seglock in the project's folder",
        )
    return paths


def _bytes(path: Path) -> bytes:
    return path.read_bytes() if path.is_file() else b""


def _summary(path: Path) -> str:
    first = path.read_text(encoding="utf-8").split("\n", 1)[0]
    return first.removeprefix("#").strip()
