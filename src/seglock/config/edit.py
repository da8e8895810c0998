"""Writing one lock into params.yaml; everything else in the file stays as it is, byte for byte."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seglock import files
from seglock.config.load import check_params, parse_yaml, read_yaml
from seglock.errors import ConfigError
from seglock.methods import FfxPassword

if TYPE_CHECKING:
    from seglock.config.schema import LockParams

Edit = tuple[int, int, str]
"""From where to where a text is replaced, and by what."""


@dataclass(frozen=True)
class AddedLock:
    """Under which name params.yaml has the lock now, and whether it was added for it."""

    name: str
    added: bool


def add_lock(
    path: Path,
    name: str,
    steps: Sequence[str],
    *,
    key: str = "main",
    ffx_password: FfxPassword = "from_key",  # noqa: S107 - a choice, not a password
    refuse: float = 0.0,
) -> AddedLock:
    """Add a lock at the end of ``locks:``; nothing is written if an equal one is there already.

    ``refuse``: the weight of its refusal, 0 for none. Locks are equal when they make the same
    plans (method, block side and count of every step, key, FFX password and divisor), and refuse
    and fold alike. The file takes its new text whole, and only if that is valid.

    Raises ConfigError where the file or the lock is faulty, or another lock has the name.
    """
    path = Path(path).resolve()  # a link stays a link
    values = read_yaml(path)
    locks = check_params(values, where=str(path)).locks
    written = _written(steps, key, ffx_password, refuse)
    whole = values | {"locks": values["locks"] | {name: written}}
    wanted = check_params(whole, where=f"{path} with the lock {name}").locks[name]
    equal = [known for known, lock in locks.items() if _identity(lock) == _identity(wanted)]
    if equal:
        return AddedLock(name if name in equal else equal[0], added=False)
    if name in locks:
        raise ConfigError(
            f"the name of a new lock must be free in {path.name}",
            got=f"{name}: {', '.join(locks[name].steps)}",
            fix="rename that lock there, then run the same command again",
        )
    text = path.read_bytes().decode("utf-8")
    mapping = next(value for key, value in composed(text).value if key.value == "locks")
    new = edited(text, [add_entry(text, mapping, f"{_scalar(name)}: {_flow(written)}")])
    _write_if(new, whole, path, f"add it there yourself: {name}: {_flow(written)}")
    return AddedLock(name, added=True)


def set_lock_key(path: Path, name: str, key: str) -> None:
    """Write another key's name at a lock of params.yaml; all else stays as it is.

    Raises ConfigError where the file is faulty or has no such lock.
    """
    path = Path(path).resolve()
    values = read_yaml(path)
    check_params(values, where=str(path))
    lock = values["locks"].get(name)
    if lock is None:
        raise ConfigError(f"{path.name} must have the lock", got=name, fix="name one of its locks")
    whole = values | {"locks": values["locks"] | {name: lock | {"key": key}}}
    check_params(whole, where=f"{path} with key {key}")
    text = path.read_bytes().decode("utf-8")
    locks = next(value for node, value in composed(text).value if node.value == "locks")
    mapping = next(value for node, value in locks.value if node.value == name)
    written = [value for node, value in mapping.value if node.value == "key"]
    if written:
        change = (written[0].start_mark.index, end_of(written[0]), _scalar(key))
    else:
        change = add_entry(text, mapping, f"key: {_scalar(key)}")
    new = edited(text, [change])
    _write_if(new, whole, path, f"write key: {key} at {name} yourself")


def _write_if(text: str, whole: Mapping[str, Any], path: Path, fix: str) -> None:
    """Write the file's new text, where it says just what was wanted and nothing else changed."""
    if parsed(text) != whole:
        raise ConfigError(
            f"a lock can be changed in {path.name} only where locks: is written plainly",
            got="a form that would change with it",
            fix=fix,
        )
    files.write_bytes(path, text.encode("utf-8"), mode=path.stat().st_mode & 0o777)


def _written(steps: Sequence[str], key: str, ffx_password: str, refuse: float) -> dict[str, Any]:
    """The lock as params.yaml shows it: options only where they are not the default."""
    lock: dict[str, Any] = {"steps": list(steps)}
    if key != "main":
        lock["key"] = key
    if ffx_password != "from_key":  # noqa: S105 - a choice, not a password
        lock["ffx_password"] = ffx_password
    if refuse:
        lock["refuse"] = refuse
    return lock


def _identity(lock: LockParams) -> tuple[object, ...]:
    steps = tuple((step.method, step.block_size, step.count) for step in lock.parsed_steps)
    options = lock.ffx_password, lock.ffx_divisor, lock.refuse, lock.fold
    return steps, *lock.feature_steps, lock.key, *options


def add_entry(text: str, mapping: Any, entry: str) -> Edit:
    """One more entry behind the last of a mapping of ``text``, in the style of the others."""
    first, last = mapping.value[0][0], mapping.value[-1][1]
    end = end_of(last)
    if mapping.flow_style:
        return end, end, f", {entry}"
    newline = "\r\n" if "\r\n" in text else "\n"
    line = f"{' ' * first.start_mark.column}{entry}{newline}"
    stop = text.find("\n", end) + 1
    if stop:
        stop = _after_comments(text, stop, first.start_mark.column)
    if not stop or not text[:stop].endswith("\n"):
        return len(text), len(text), f"{newline}{line}"
    return stop, stop, line


def _after_comments(text: str, start: int, column: int) -> int:
    """Behind the comments at ``start`` that belong to the lock before them: those further in than
    the names of locks. One in line with the names is about what comes after it."""
    stop = end = start
    for whole in re.findall(r"[^\n]*\n|[^\n]+", text[start:]):
        end += len(whole)
        content = whole.lstrip(" \t")
        if not content.strip():
            continue
        if not content.startswith("#") or len(whole) - len(content) <= column:
            break
        stop = end
    return stop


def end_of(node: Any) -> int:
    """Where a node's own text ends; a block's end mark would be behind the comments after it."""
    while isinstance(node.value, list) and node.value and not node.flow_style:
        last = node.value[-1]
        node = last[1] if isinstance(last, tuple) else last
    return int(node.end_mark.index)


def composed(text: str) -> Any:
    """The nodes of a YAML text, which know where they stand in it; None where nothing does."""
    from ruamel.yaml import YAML

    return YAML(typ="safe", pure=True).compose(text)


def parsed(text: str) -> Any:
    """The plain values of a YAML text; None where it is none."""
    try:
        return parse_yaml(text, Path())
    except ConfigError:
        return None


def edited(text: str, edits: Iterable[Edit]) -> str:
    """``text`` with each edit's place, which no other overlaps, replaced."""
    for start, end, new in sorted(edits, key=lambda edit: edit[0], reverse=True):
        text = f"{text[:start]}{new}{text[end:]}"
    return text


def _flow(lock: Mapping[str, Any]) -> str:
    parts = [f"steps: [{', '.join(lock['steps'])}]"]
    parts += [f"{name}: {_scalar(value)}" for name, value in lock.items() if name != "steps"]
    return f"{{{', '.join(parts)}}}"


def _scalar(value: str | float) -> str:
    """A value as YAML reads it back: a name in quotes where it would be a number or a truth
    value."""
    return value if isinstance(value, str) and parsed(value) == value else json.dumps(value)
