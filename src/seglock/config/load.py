"""params.yaml -> Params. The only reader of YAML; every fault of a file is reported at once."""

from __future__ import annotations

import contextlib
import difflib
import math
from collections.abc import Iterable, Mapping
from functools import cache, reduce
from operator import getitem
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError, create_model
from pydantic_core import ErrorDetails

from seglock.config.folding import fold_faults
from seglock.config.refusal import refusal_faults
from seglock.config.rules import (
    data_faults,
    lock_faults,
    model_faults,
    recipe_faults,
    train_faults,
)
from seglock.config.schema import DataParams, LockParams, ModelParams, Params, TrainParams
from seglock.config.search import SearchParams, SpaceParams
from seglock.config.search_rules import search_faults, study_faults
from seglock.config.section import Section
from seglock.errors import ConfigError, nearest_name, printable
from seglock.foreign import bounded, read_plain

PARAMS_FILE = Path("params.yaml")
_SHOWN = 80  # characters of a faulty value
_MOST_BYTES, _MOST_VALUES = 1 << 20, 100_000


def load_params(path: Path = PARAMS_FILE) -> Params:
    """Read and validate a params file.

    Raises ConfigError with all faults of the file, one a line, each with the nearest known name.
    """
    return check_params(read_yaml(path), where=str(path))


def read_yaml(path: Path) -> Any:
    """Read a YAML 1.2 file as plain values; a duplicate key or a syntax error is a ConfigError."""
    return parse_yaml(read_text(path), path)


def read_text(path: Path) -> str:
    """A params file's text; a ConfigError where it cannot be read."""
    try:
        return read_plain(path, most=_MOST_BYTES).decode("utf-8-sig")
    except FileNotFoundError as error:
        raise ConfigError(
            f"{path} must exist",
            got="no such file",
            fix="run seglock in the project's folder, or make a project with `seglock init DIR`",
        ) from error
    except OSError as error:
        raise _unreadable(path, error.strerror or str(error)) from error
    except UnicodeError as error:
        raise _unreadable(path, str(error)) from error


def parse_yaml(text: str, path: Path) -> Any:
    """The plain values of a YAML text that came from ``path``."""
    from ruamel.yaml import YAML

    try:
        return bounded(YAML(typ="safe", pure=True).load(text), most=_MOST_VALUES)
    except RecursionError as error:
        raise _unreadable(path, "values nested too deeply") from error
    except Exception as error:  # beside its own, ruamel lets any of Python's out
        raise _unreadable(path, " ".join(str(error).split())) from error


def _unreadable(path: Path, reason: str) -> ConfigError:
    return ConfigError(f"{path} must be readable YAML", got=reason, fix="mend that line")


def check_params(values: Any, *, where: str = "params") -> Params:
    """Validate plain values as Params, reporting every fault at once."""
    try:
        return Params.model_validate(values)
    except ValidationError as error:
        faults = [fault for detail in error.errors() for fault in _describe(detail)]
        faults += [fault for fault in _faults_of_the_whole(values) if fault not in faults]
        listed = "\n".join(f"  {fault}" for fault in faults)
        count = "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
        raise ConfigError(f"{where} has {count}:\n{listed}") from error


def override(params: Params, section: str, values: Mapping[str, Any]) -> Params:
    """The same params with some values of a section replaced, checked again.

    A dotted name, such as ``thief.tier``, replaces one value of a part and keeps the others.

    Raises ConfigError as for a file; the rules do not care where a value was written.
    """
    plain = params.model_dump()
    for name, value in values.items():
        *parts, last = section, *name.split(".")
        reduce(getitem, parts, plain)[last] = value
    return check_params(plain, where=section)


def find_lock(params: Params, name: str) -> LockParams:
    """The lock called ``name``; an unknown name lists the nearest known one."""
    if name not in params.locks:
        raise ConfigError(
            "lock must be named under locks: in params.yaml",
            got=repr(name),
            fix=nearest_name(name, params.locks),
        )
    return params.locks[name]


def _describe(detail: ErrorDetails) -> list[str]:
    # Bracketed parts are pydantic's and our own notes, not names in the file.
    place = ".".join(str(part) for part in detail["loc"] if not str(part).startswith("["))
    place = printable(place)
    kind = detail["type"]
    if kind == "extra_forbidden":
        *parents, name = detail["loc"]
        known = _fields_at(parents)
        return [f"{place}: no such parameter; {nearest_name(str(name), known)}"]
    if kind == "missing":
        return [f"{place}: must be given"]
    if kind == "value_error":
        lines = str(detail["ctx"]["error"]).splitlines()
        return [
            f"{place}: {line}" if place and not line.startswith(place) else line for line in lines
        ]
    message = detail["msg"][0].lower() + detail["msg"][1:]
    got = detail["input"]
    if isinstance(got, Mapping | list):
        got = type(got).__name__
    shown = repr(got)
    text = f"{place}: {message.replace('input should', 'must')}, got "
    text += shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}… ({len(shown)} characters)"
    if kind == "finite_number" and detail["input"] == math.inf:
        text += "; write one so large that it sets no limit"
    if kind == "less_than_equal" and detail["ctx"]["le"] == 1 and detail["input"] <= 100:
        text += f"; write {detail['input']:g}% for so many percent"
    if kind == "literal_error":
        expected = detail["ctx"]["expected"].replace("'", "").replace(" or ", ", ").split(", ")
        close = difflib.get_close_matches(str(got), expected, n=1)
        text += f"; did you mean {close[0]!r}?" if close else ""
    return [text]


def _faults_of_the_whole(values: Any) -> list[str]:
    """The rules between values, on what of a faulty file can still be read.

    Pydantic checks them only in sections that have no other fault.
    """
    sections = values if isinstance(values, Mapping) else {}
    data = _readable(DataParams, sections.get("data", {}))
    faults = data_faults(data)
    model = _readable(ModelParams, sections.get("model", {}))
    train = _readable(TrainParams, sections.get("train", {}))
    faults += model_faults(model) + train_faults(train) + recipe_faults(model, train)
    search = _readable_search(sections.get("search", {}))
    faults += search_faults(search) + study_faults(search, data, train)
    locks = sections.get("locks")
    if isinstance(locks, Mapping):
        readable = {str(name): _readable_lock(lock) for name, lock in locks.items()}
        faults += lock_faults(readable, data.get("image_side"))
        faults += refusal_faults(readable, model) + fold_faults(readable, model)
    return faults


def _readable_search(search: Any) -> dict[str, Any]:
    """The study's values; where some choices cannot be read, the others all the same."""
    values = _readable(SearchParams, search)
    if "space" not in values and isinstance(search, Mapping):
        values["space"] = _readable(SpaceParams, search["space"])
    return values


def _readable_lock(lock: Any) -> dict[str, Any]:
    """A lock's values; of its steps also those names that cannot be read, for their number."""
    values = _readable(LockParams, lock)
    if isinstance(lock, Mapping) and isinstance(lock.get("steps"), list):
        values["steps"] = lock["steps"]
    return values


def _readable(section: type[Section], values: Any) -> dict[str, Any]:
    """The values of a section and the defaults of the others, without those that are faulty."""
    readable = {}
    for name, field in section.model_fields.items() if isinstance(values, Mapping) else ():
        if name not in values:
            if not field.is_required():
                readable[name] = field.get_default(call_default_factory=True)
            continue
        with contextlib.suppress(ValidationError):
            alone = _alone(section, name).model_validate({"value": values[name]})
            readable[name] = dict(alone)["value"]
    return readable


@cache
def _alone(section: type[Section], name: str) -> type[BaseModel]:
    """A section of one value alone."""
    field: Any = section.model_fields[name]
    return create_model("Alone", __base__=Section, value=(field.annotation, field))


def _fields_at(parents: Iterable[Any]) -> list[str]:
    """The names that the section at a place has; none where that is no section."""
    kind: Any = Params
    for part in parents:
        model = _model_in(kind)
        if model is None:
            return []
        field = model.model_fields.get(str(part))
        # A part that is no field is a note of pydantic's, or a key of a mapping: a lock's name.
        kind = field.annotation if field else kind
    model = _model_in(kind)
    return list(model.model_fields) if model else []


def _model_in(kind: Any) -> type[BaseModel] | None:
    """The section that a type is, or that an optional, annotated or mapping type holds."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return kind
    found = (_model_in(part) for part in get_args(kind))
    return next((model for model in found if model is not None), None)
