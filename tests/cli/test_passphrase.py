"""A passphrase from a terminal or a file."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from seglock.cli.passphrase import ask
from seglock.errors import KeyRefusedError
from seglock.keys import Passphrase

WORDS = Passphrase(b"four stones under a quiet bridge")
ASK = (
    "from seglock.cli.passphrase import ask; from seglock.keys import Passphrase\n"
    "words = ask(None, twice=True)\n"
    "print(words, words.same(Passphrase(b'four stones under a quiet bridge')))"
)


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n", b"\nmore\n"])
def test_the_first_line_of_a_private_file(tmp_path: Path, end: bytes) -> None:
    path = tmp_path / "words"
    path.write_bytes(b"four stones under a quiet bridge" + end)
    path.chmod(0o600)
    assert ask(path, twice=True).same(WORDS)
    path.chmod(0o640)
    with pytest.raises(KeyRefusedError, match=r"chmod 600 .*choose another passphrase"):
        ask(path, twice=True)


def test_a_descriptor() -> None:
    reader, writer = os.pipe()
    os.write(writer, b"four stones under a quiet bridge\n")
    os.close(writer)
    try:
        assert ask(Path(f"/dev/fd/{reader}"), twice=False).same(WORDS)
    finally:
        os.close(reader)


def test_no_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(KeyRefusedError, match="no such file"):
        ask(tmp_path / "words", twice=False)


def typed(*lines: str) -> str:
    """What a process of its own shows on a terminal where these lines are typed."""
    main, other = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", ASK],
        stdin=other, stdout=other, stderr=other, start_new_session=True,
        preexec_fn=lambda: os.close(os.open(os.ttyname(0), os.O_RDWR)),  # its terminal
    )  # fmt: skip
    os.close(other)
    shown = b""
    waiting = list(lines)
    while True:
        try:
            piece = os.read(main, 1024)
        except OSError:
            break
        shown += piece
        if piece.rstrip().endswith(b":") and waiting:
            os.write(main, f"{waiting.pop(0)}\n".encode())
    os.close(main)
    process.wait()
    return shown.decode()


def test_typed_twice_and_never_shown() -> None:
    shown = typed(*["four stones under a quiet bridge"] * 2)
    assert "Passphrase(...) True" in shown
    assert "stones" not in shown
    assert "both times the passphrase must be the same" in typed("four stones", "five stones")


def test_without_a_terminal_nobody_is_asked() -> None:
    found = subprocess.run(
        [sys.executable, "-c", ASK],
        start_new_session=True, stdin=subprocess.DEVNULL, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert "--passphrase-file" in found.stderr
