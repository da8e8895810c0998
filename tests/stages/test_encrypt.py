"""The encrypted split on disk: nobody but its owner may open it, whatever was there before."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from seglock.config import LockParams, ModelParams
from seglock.keys import demonstration_key
from seglock.stages.encrypt import encrypt_split
from seglock.stages.locks import OpenLock


def modes(folder: Path) -> dict[str, int]:
    found = {path.name: path.stat().st_mode for path in (folder, *folder.rglob("*"))}
    return {name: stat.S_IMODE(mode) for name, mode in found.items()}


@pytest.mark.parametrize("umask", [0o000, 0o077], ids=oct)
@pytest.mark.parametrize("lock", ["baseline", "np-2"])
def test_the_split_is_closed_under_any_umask_and_over_an_open_one(
    project: Path, lock: str, umask: int
) -> None:
    place = project / "data/encrypted"
    before = os.umask(umask)
    try:
        (place / lock).mkdir(parents=True, exist_ok=True)
        for folder in (place, place / lock):  # as an older version left them, or DVC made them
            folder.chmod(0o755)
        assert encrypt_split(lock, project) == place / lock
    finally:
        os.umask(before)
    assert stat.S_IMODE(place.stat().st_mode) == 0o700
    files = {"encrypted.json": 0o600} | ({"test.enc": 0o600} if lock == "np-2" else {})
    assert modes(place / lock) == {lock: 0o700} | files


def test_a_lock_with_other_steps_has_another_nonce() -> None:
    """Else whoever was sent an earlier split could test guesses on the digest of this one."""
    key = demonstration_key()
    locks = [
        LockParams(steps=["ffx-2"]),
        LockParams(steps=["ffx-2"], ffx_password="fixed"),
        LockParams(steps=["np-2"]),
    ]
    assert (
        len({OpenLock("mine", lock, ModelParams(), key).encryption_nonce() for lock in locks}) == 3
    )
