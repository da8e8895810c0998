"""Keys from the environment: ``SEGLOCK_KEY_<NAME>``, taken out of it on first reading.

Processes started afterwards do not inherit the variable. It was never hidden from this user's other
processes: the kernel keeps the environment a process began with in ``/proc/PID/environ``.
"""

from __future__ import annotations

import base64
import binascii
import os
import re

from seglock.errors import KeyRefusedError
from seglock.keys.secret import SecretKey

# What was read, by variable, for later calls in this process; None where it was malformed.
_taken: dict[str, SecretKey | None] = {}


def variable_name(name: str) -> str:
    """The variable that supplies the key called ``name``.

    >>> variable_name("main"), variable_name("client-2.old")
    ('SEGLOCK_KEY_MAIN', 'SEGLOCK_KEY_CLIENT_2_OLD')
    """
    return "SEGLOCK_KEY_" + re.sub(r"[^A-Z0-9]", "_", name.upper())


def environment_key(name: str) -> SecretKey | None:
    """The key that the environment supplies under ``name``, or None.

    32 bytes as 64 hexadecimal digits or as base64 (standard or URL alphabet). Raises
    KeyRefusedError, without any of the value, if it is anything else.
    """
    variable = variable_name(name)
    if variable in os.environ:
        found = _decode(os.environ.pop(variable))
        _taken[variable] = found if isinstance(found, SecretKey) else None
        if isinstance(found, KeyRefusedError):
            raise KeyRefusedError(f"{variable}: {found.rule}", got=found.got, fix=found.fix)
    elif variable in _taken and _taken[variable] is None:
        raise KeyRefusedError(
            f"{variable} must hold a key", got="a malformed value earlier in this process"
        )
    return _taken.get(variable)


def _decode(text: str) -> SecretKey | KeyRefusedError:
    text = text.strip()
    try:
        if re.fullmatch(r"[0-9A-Fa-f]{64}", text):
            secret = bytes.fromhex(text)
        else:
            padded = text + "=" * (-len(text) % 4)
            standard = padded.replace("-", "+").replace("_", "/")
            secret = base64.b64decode(standard, validate=True)
    except (binascii.Error, ValueError):
        secret = b""
    if len(secret) != SecretKey.SIZE:
        return KeyRefusedError(
            f"the value must be {SecretKey.SIZE} bytes in hexadecimal or base64",
            got=f"{len(text)} characters that are not",
            fix="write for example `base64 -w0 KEYFILE` into it",
        )
    return SecretKey._accept(secret)
