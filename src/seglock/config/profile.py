"""Profiles: ``profiles/NAME.yaml`` says only what differs from its base, another profile.

The base is the one that ``base:`` names, else ``synthetic``, which names every value. Sections are
merged, ``locks`` and lists replaced. A file that names every value itself has no base. The merged
text keeps the base's comments, but where the profile has its own: beside a value, or above it.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from seglock.config.edit import Edit, add_entry, composed, edited, end_of, parsed
from seglock.config.load import check_params, parse_yaml, read_text
from seglock.config.schema import Params
from seglock.errors import ConfigError, nearest_name

DEFAULT = "synthetic"
_BASE = "base"
_WHOLE = ("locks",)  # sections that a profile replaces
_SECTIONS = ("mapping", "mapping")  # as ruamel's nodes say
_COMMENT = re.compile(r"[ \t]*#[^\n]*")


def load_profile(path: Path) -> Params:
    """A profile with all that its base says; its faults are a ConfigError, as params.yaml's."""
    return check_params(_merged(path)[1], where=str(path))


def merge_profile(path: Path) -> str:
    """The text of params.yaml that a profile stands for.

    Raises ConfigError for a profile that is faulty, or cannot be merged as it is written.
    """
    text, values = _merged(path)
    check_params(values, where=str(path))
    return text


def merge_values(base: Any, overlay: Any, *, whole: tuple[str, ...] = _WHOLE) -> Any:
    """Plain values of params.yaml with others over them; what ``whole`` names is replaced.

    >>> merge_values({"train": {"epochs": 12, "seed": 0}}, {"train": {"epochs": 2}})
    {'train': {'epochs': 2, 'seed': 0}}
    """
    if not isinstance(base, dict) or not isinstance(overlay, dict):
        return overlay
    merged = dict(base)
    for name, value in overlay.items():
        known = name in base and name not in whole
        merged[name] = merge_values(base[name], value, whole=()) if known else value
    return merged


def _merged(path: Path, above: tuple[str, ...] = ()) -> tuple[str, Any]:
    """Text and values of a profile; ``above`` are those that it is the base of."""
    text = read_text(path)
    values = parse_yaml(text, path)
    values = {} if values is None else values
    if not isinstance(values, dict):
        return text, values
    named = values.pop(_BASE, None)
    if named is not None:
        _check_base(path, named, above)
    base = path.with_name(f"{named or DEFAULT}.yaml")
    if named is None and (path.stem == DEFAULT or not base.is_file()):
        return text, values
    base_text, base_values = _merged(base, (*above, path.stem))
    if named is None and _names_all(values, base_values):
        return text, values
    check_params(base_values, where=str(base))
    values = merge_values(base_values, values)
    text = _merged_text(base_text, text)
    if parsed(text) != values:
        raise ConfigError(
            f"{path} must be written plainly to be merged",
            got="aliases, or another form that changes beside other lines",
            fix="write a value a line, as in the other profiles",
        )
    return text, values


def _check_base(path: Path, named: object, above: tuple[str, ...]) -> None:
    known = {other.stem for other in path.parent.glob("*.yaml")} - {path.stem, *above}
    if not isinstance(named, str) or named not in known:
        raise ConfigError(
            f"{path}: {_BASE} must name another profile, and not one that is built on this",
            got=repr(named),
            fix=nearest_name(str(named), sorted(known)),
        )


def _names_all(values: Any, base: Any, whole: tuple[str, ...] = _WHOLE) -> bool:
    """Whether values name all that the base names."""
    if not isinstance(base, dict):
        return True
    return isinstance(values, dict) and all(
        name in values and (name in whole or _names_all(values[name], part, ()))
        for name, part in base.items()
    )


def _merged_text(base: str, overlay: str) -> str:
    base, overlay = (text.replace("\r\n", "\n") for text in (base, overlay))
    edits: list[Edit] = []
    if header := _header(overlay):
        edits.append((0, _header(base).find("\n") + 1, header))
    if (above := composed(overlay)) is not None:
        above.value = [pair for pair in above.value if pair[0].value != _BASE]
        edits += _edits(base, composed(base), overlay, above, _WHOLE)
    return edited(base, edits)


def _edits(
    base: str, below: Any, overlay: str, above: Any, whole: tuple[str, ...] = ()
) -> Iterator[Edit]:
    """What gives a mapping of ``base`` the entries of one of ``overlay``, with their comments."""
    known = {key.value: (key, value) for key, value in below.value}
    for key, value in above.value:
        shift = below.value[0][0].start_mark.column - key.start_mark.column
        end = end_of(value)
        text = overlay[key.start_mark.index : end]
        text = " ".join(text.split("\n")) if above.flow_style else _shifted(text, shift)
        comment = "" if below.flow_style else _beside(overlay, end)
        if key.value not in known:
            yield add_entry(base, below, text + comment)
            continue
        old_key, old = known[key.value]
        if not below.flow_style and (lines := _above(overlay, key)[2]):
            yield (*_above(base, old_key)[:2], _shifted(f"\n{lines}", shift)[1:])
        if key.value not in whole and (old.id, value.id) == _SECTIONS and old.value:
            yield from _edits(base, old, overlay, value)
            if comment := _beside(overlay, _name_end(overlay, key, value)):
                end = _name_end(base, old_key, old)
                yield end, end + len(_beside(base, end)), comment
        else:
            yield _replaced(base, old_key, end_of(old), text, comment)


def _replaced(base: str, key: Any, end: int, text: str, comment: str) -> Edit:
    """An entry from its key to ``end`` as ``text``; without a comment of its own it keeps that."""
    start, old = key.start_mark.index, _beside(base, end)
    stop = end + len(old)
    if comment or not old or "\n" in base[start:end] + text:
        return start, stop, text + comment
    room = base.index("#", end) - start - len(text)
    return start, stop, f"{text}{' ' * (room if room > 0 else 3)}{old.lstrip()}"


def _name_end(text: str, key: Any, section: Any) -> int:
    """Where a comment on a section's name would begin."""
    return end_of(section) if section.flow_style else text.index(":", key.end_mark.index) + 1


def _beside(text: str, place: int) -> str:
    """The comment on the rest of a line, with the spaces before it; nothing where more follows."""
    match = _COMMENT.match(text, place)
    return match[0] if match else ""


def _above(text: str, key: Any) -> tuple[int, int, str]:
    """The comment lines right above a key and in line with it: where they are, and they."""
    start = stop = text.rfind("\n", 0, key.start_mark.index) + 1
    while start > len(_header(text)):
        line = text.rfind("\n", 0, start - 1) + 1
        if not text.startswith(f"{' ' * key.start_mark.column}#", line):
            break
        start = line
    return start, stop, text[start:stop]


def _header(text: str) -> str:
    """The comments that a file begins with; its first line is what `profile list` shows."""
    return "".join(itertools.takewhile(lambda line: line.startswith("#"), text.splitlines(True)))


def _shifted(text: str, by: int) -> str:
    """Lines moved to the right, but for the first, which begins at its key."""
    first, *lines = text.split("\n")
    return "\n".join(
        [first, *(" " * by + line if by > 0 and line else line[-min(by, 0) :] for line in lines)]
    )
