"""What a command needs beyond the base installation, asked for before it begins."""

from __future__ import annotations

from importlib.util import find_spec

from seglock.errors import ConfigError


def require_extra(command: str, extra: str, *modules: str) -> None:
    """Raise ConfigError, which names the extra, where one of its modules is missing."""
    missing = [name for name in modules if find_spec(name) is None]
    if missing:
        raise ConfigError(
            f"{command} needs the extra `{extra}`", got=f"no {', '.join(missing)}",
            fix=f"install it with `pip install 'seglock[{extra}]'`",
        )  # fmt: skip
