"""What a worker's environment must not hold."""

from __future__ import annotations

from collections.abc import Mapping

from seglock.variables import KEY_VARIABLES, variables

# Keys, the study's database, the tracking server: a worker talks to none of them. What DVC's
# remotes need stays, since a worker may have to pull its data.
_PRIVATE = (KEY_VARIABLES, "PG", "MLFLOW_", "OPTUNA_")


def without_secrets(environ: Mapping[str, str], storage: str | None = None) -> dict[str, str]:
    """``environ`` without keys and without what opens the study's storage or the tracking server.

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
