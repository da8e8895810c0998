"""``$VARIABLES`` and ``~`` in values of params.yaml: put in where a value is used, never shown.

A variable may hold a password. So a value is kept, logged and told as params.yaml has it; `expand`
gives what it stands for, and what is raised where that is used goes through `as_written`.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import quote

from seglock.errors import ConfigError, KeyRefusedError, SeglockError

KEY_VARIABLES = "SEGLOCK_KEY_"
FOLDER_VARIABLE = "SEGLOCK_KEY_DIR"
# Keys, the study's database, the tracking server: a worker talks to none of them. What DVC's
# remotes need stays, since a worker may have to pull its data.
_PRIVATE = (KEY_VARIABLES, "PG", "MLFLOW_", "OPTUNA_")
_VARIABLE = re.compile(r"\$(?:(\w+)|\{([^{}]*)\})", re.ASCII)
_SHORT = 6  # characters; a shorter value is no secret, and would be found in any sentence


def key_variable(name: str) -> str:
    """The variable that supplies the key called ``name``.

    >>> key_variable("main"), key_variable("client-2.old")
    ('SEGLOCK_KEY_MAIN', 'SEGLOCK_KEY_CLIENT_2_OLD')
    """
    return KEY_VARIABLES + re.sub(r"[^A-Z0-9]", "_", name.upper())


def variables(text: str) -> dict[str, str]:
    """The variables that a value names, by how they stand there.

    >>> variables("postgresql://$USER:${SECRET}@db/x")
    {'$USER': 'USER', '${SECRET}': 'SECRET'}
    """
    return {match[0]: match[1] or match[2] for match in _VARIABLE.finditer(text)}


def without_secrets(environ: Mapping[str, str], storage: str | None = None) -> dict[str, str]:
    """``environ`` without keys and without what opens a study's storage or the tracking server.

    ``storage``: the address as params.yaml has it; the variables it names are left out too.

    >>> environ = {"PATH": "/bin", "PGPASSWORD": "x", "DB_PASS": "x", "SEGLOCK_KEY_MAIN": "x"}
    >>> without_secrets(environ, "postgresql://ann:${DB_PASS}@db/studies")
    {'PATH': '/bin'}
    """
    named = variables(storage or "").values()
    return {
        name: value
        for name, value in environ.items()
        if not name.startswith(_PRIVATE) and name not in named
    }


def expand(
    text: str,
    setting: str,
    *,
    error: type[SeglockError] = ConfigError,
    quoted: bool = False,
    defaults: Mapping[str, str] | None = None,
) -> str:
    """What ``text``, the value of ``setting``, stands for: with its $VARIABLES and a leading ~.

    quoted: values are quoted for a URL, so that they may hold any character. defaults: for
    variables that are not set. What comes in is not expanded again, but for its ~.

    Raises ``error`` for a variable that is not set and a home folder that is not known, and
    KeyRefusedError for a variable that supplies a key, set or not.

    >>> os.environ["PLACE"] = "/data"
    >>> expand("${PLACE}/voc", "data.source")
    '/data/voc'
    >>> del os.environ["PLACE"]
    """

    def value(match: re.Match[str]) -> str:
        name = match[1] or match[2]
        if KEY_VARIABLES in name.upper():
            raise KeyRefusedError(
                f"{setting} must name no {KEY_VARIABLES}* variable, which are for keys",
                got=text,
                fix="name another variable, or write the value itself",
            )
        found = os.environ.get(name) or (defaults or {}).get(name)
        if not found:
            raise error(
                f"${name} in {setting} must be set",
                got=text,
                fix=f"set {name} in the environment, or write the value itself",
            )
        return quote(found, safe="") if quoted else found

    found = _VARIABLE.sub(value, text)
    if not found.startswith("~"):
        return found
    try:
        return str(Path(found).expanduser())
    except RuntimeError:
        raise error(
            f"{setting} must begin with the home folder of a user of this machine",
            got=text,
            fix="write the path itself; ./~NAME is a folder of that name",
        ) from None


def as_written(message: str, text: str | None) -> str:
    """``message`` with the values that ``text`` stands for as ``text`` writes them.

    >>> os.environ["SECRET"] = "correct horse"
    >>> as_written("no such file: /data/correct horse.tar", "/data/$SECRET.tar")
    'no such file: /data/$SECRET.tar'
    >>> del os.environ["SECRET"]
    """
    stands = variables(text or "")
    values = {written: os.environ.get(name, "") for written, name in stands.items()}
    home, slash, _ = (text or "").partition("/")
    if home.startswith("~"):
        with contextlib.suppress(RuntimeError):
            values[home + slash] = f"{Path(home).expanduser()}{slash}"
    shown = {
        form: name for name, found in values.items() for form in (found, quote(found, safe=""))
    }
    for form in sorted(shown, key=len, reverse=True):
        if len(form) >= _SHORT:
            message = message.replace(form, shown[form])
    return message


@contextlib.contextmanager
def showing(text: str | None) -> Iterator[None]:
    """A SeglockError of the block shows ``text``, a value of params.yaml, `as_written`."""
    try:
        yield
    except SeglockError as error:
        parts = (error.rule, error.got, error.fix)
        rule, got, fix = (None if part is None else as_written(str(part), text) for part in parts)
        if (rule, got, fix) == tuple(None if part is None else str(part) for part in parts):
            raise
        # From None: what caused it has the value in its own words.
        raise type(error)(rule or "", got=got, fix=fix) from None
