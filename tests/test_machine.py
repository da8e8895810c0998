"""What a run says of its machine: an allow-list."""

from __future__ import annotations

import getpass
import platform
import subprocess
from pathlib import Path

import pytest

from seglock.machine import describe_environment, git_commit


def test_nothing_of_the_environment_host_or_user_is_described(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SEGLOCK_KEY_MAIN", "ab" * 32)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "do not show")
    described = describe_environment()
    text = repr(described)
    for private in ("ab" * 32, "do not show", str(Path.home()), platform.node()):
        assert private not in text
    assert getpass.getuser() not in described.values()
    assert described["python"] == platform.python_version()
    assert {"platform", "cpu_count", "torch", "numpy", "device"} <= described.keys()


def test_the_commit_is_gits(tmp_path: Path) -> None:
    assert git_commit(tmp_path) is None
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    assert git_commit(tmp_path) is None
    commit = ["git", "-C", str(tmp_path), *identity, "commit", "-q", "--allow-empty", "-m", "one"]
    subprocess.run(commit, check=True)
    assert len(git_commit(tmp_path) or "") == 40
