"""Keys from the environment: ``SEGLOCK_KEY_<NAME>``, all taken out of it before any is used.

Processes started afterwards do not inherit them. They were never hidden from this user's other
processes: the kernel keeps the environment a process began with in ``/proc/PID/environ``.
"""

from __future__ import annotations

import base64
import binascii
import os
import re

from seglock.errors import KeyRefusedError
from seglock.keys.secret import SecretKey
from seglock.variables import FOLDER_VARIABLE, KEY_VARIABLES, key_variable

# What was taken, by variable, for later calls in this process; the reason where it is no key.
_taken: dict[str, SecretKey | KeyRefusedError] = {}


def take_keys() -> None:
    """Take every ``SEGLOCK_KEY_*`` out of the environment, but the key store's folder.

    The command does so before anything else: no child of it, such as git or a worker, gets one.
    """
    for variable in [name for name in os.environ if name.startswith(KEY_VARIABLES)]:
        if variable != FOLDER_VARIABLE:
            _taken[variable] = _decode(os.environ.pop(variable))


def environment_key(name: str) -> SecretKey | None:
    """The key that the environment supplies, or did, under ``name``, or None.

    32 bytes as 64 hexadecimal digits or as base64 (standard or URL alphabet). Raises
    KeyRefusedError, without any of the value, if it is anything else.
    """
    take_keys()
    variable = key_variable(name)
    found = _taken.get(variable)
    if isinstance(found, KeyRefusedError):
        raise KeyRefusedError(f"{variable}: {found.rule}", got=found.got, fix=found.fix)
    return found


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
