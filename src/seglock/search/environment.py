"""What a worker's environment must not hold."""

from __future__ import annotations

import re
from collections.abc import Mapping

# Keys, the study's database, the tracking server: a worker talks to none of them. What DVC's
# remotes need stays, since a worker may have to pull its data.
_PRIVATE = ("SEGLOCK_KEY_", "PG", "MLFLOW_", "OPTUNA_")
_VARIABLE = re.compile(r"\$(\w+)|\$\{(\w+)\}")


def without_secrets(environ: Mapping[str, str], storage: str | None = None) -> dict[str, str]:
    """``environ`` without keys and without what opens the study's storage or the tracking server.

    ``storage``: the address as params.yaml has it; the variables it names are left out too.

    >>> environ = {"PATH": "/bin", "PGPASSWORD": "x", "DB_PASS": "x", "SEGLOCK_KEY_MAIN": "x"}
    >>> without_secrets(environ, "postgresql://ann:${DB_PASS}@db/studies")
    {'PATH': '/bin'}
    """
    named = {one or other for one, other in _VARIABLE.findall(storage or "")}
    return {
        name: value
        for name, value in environ.items()
        if not name.startswith(_PRIVATE) and name not in named
    }
