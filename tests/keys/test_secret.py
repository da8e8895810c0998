"""SecretKey: what it accepts, what it derives, and vectors that must never change.

The vectors were computed by the independent HKDF below (RFC 5869 on hmac), not by seglock.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seglock.errors import KeyRefusedError, SeglockError
from seglock.keys import SecretKey, demonstration_key
from seglock.keys.secret_access import reveal

COUNTING = bytes(range(32))


def hkdf(secret: bytes, info: bytes, length: int) -> bytes:
    prk = hmac.new(bytes(32), secret, "sha256").digest()
    out = block = b""
    for number in range(1, -(-length // 32) + 1):
        block = hmac.new(prk, block + info + bytes([number]), "sha256").digest()
        out += block
    return out[:length]


def test_frozen_vectors() -> None:
    key = SecretKey.from_bytes(COUNTING)
    assert key.id == "70d0aae9ca27f01c"
    assert key.derive("example").hex() == (
        "7a291a813b5d4143e4ee7c6592b14c98d7b2cb76930cf6abce12e2fb39c7a395"
    )
    assert key.wrong(0).id == "4624985948ec3c3d"
    assert key.wrong(99).id == "c7b8298b7cf17e58"
    assert key.nonce("encrypted/shf-4").hex() == (
        "2004c61d70007ae2fdcba29e198057b898792e7dd8f03d9ca67a10678c0eb9ed"
    )


@given(st.text(min_size=1, max_size=40).map(lambda t: "use/" + t), st.integers(1, 100))
def test_derive_is_hkdf_sha256(use: str, length: int) -> None:
    expected = hkdf(COUNTING, b"seglock/v2/" + use.encode(), length)
    assert SecretKey.from_bytes(COUNTING).derive(use, length) == expected


@pytest.mark.parametrize("use", ["", "id", "wrong/3", "nonce/x"])
def test_derive_refuses_labels_whose_values_are_public_or_keys(use: str) -> None:
    with pytest.raises(KeyRefusedError, match="label of its own"):
        SecretKey.from_bytes(COUNTING).derive(use)


def test_wrong_keys_differ_and_repeat() -> None:
    key = SecretKey.from_bytes(COUNTING)
    wrong = [key.wrong(i) for i in range(50)]
    assert len({k.id for k in [key, *wrong]}) == 51
    assert key.wrong(7) == wrong[7] != key
    with pytest.raises(KeyRefusedError, match="at least 0, got -1"):
        key.wrong(-1)


def test_demonstration_key_is_the_constant_it_says() -> None:
    text = b"seglock demonstration key: public, protects nothing"
    assert reveal(demonstration_key()) == hashlib.sha256(text).digest()


def test_generate_asks_the_operating_system_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    assert len({SecretKey.generate().id for _ in range(20)}) == 20
    monkeypatch.setattr(os, "urandom", lambda size: COUNTING[:size])
    assert SecretKey.generate() == SecretKey.from_bytes(COUNTING)


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_from_bytes_takes_bytes(kind: type) -> None:
    source = bytearray(COUNTING)
    key = SecretKey.from_bytes(kind(source))
    source[0] = 99
    assert reveal(key) == COUNTING


@pytest.mark.parametrize(
    ("secret", "message"),
    [
        (b"", "exactly 32 bytes, got 0 bytes"),
        (COUNTING[:31], "got 31 bytes"),
        (COUNTING + b"x", "got 33 bytes"),
        (bytes(32), "random bytes, got one byte repeated"),
        (b"\xee" * 32, "one byte repeated"),
        (b"correct horse battery staple 123", "readable text"),
        (b"tabs\tand\nnew lines\r\n count too..", "readable text"),
        (b"a passphrase padded".ljust(32, b"\0"), "readable text"),
        ("schlüssel wörter größe maß".encode().ljust(32, b"!"), "readable text"),
        (COUNTING[:16].hex().encode(), "readable text"),
        ("0" * 32, "must be bytes, got type str"),
        (None, "got type NoneType"),
        (list(COUNTING), "got type list"),
    ],
)
def test_from_bytes_refuses(secret: bytes, message: str) -> None:
    with pytest.raises(KeyRefusedError, match=message):
        SecretKey.from_bytes(secret)


@given(st.binary(min_size=32, max_size=32))
def test_from_bytes_gives_back_what_it_took_or_refuses(secret: bytes) -> None:
    try:
        key = SecretKey.from_bytes(secret)
    except KeyRefusedError:
        return
    assert reveal(key) == secret


def test_the_class_is_not_called() -> None:
    with pytest.raises(SeglockError, match=r"SecretKey\.generate\(\)"):
        SecretKey()


def key_file(folder: Path, content: bytes, mode: int = 0o600) -> Path:
    path = folder / "secret"
    path.write_bytes(content)
    path.chmod(mode)
    return path


def test_from_file(tmp_path: Path) -> None:
    path = key_file(tmp_path, COUNTING)
    assert SecretKey.from_file(path) == SecretKey.from_file(str(path))
    link = tmp_path / "link"
    link.symlink_to(path)
    assert SecretKey.from_file(link).id == "70d0aae9ca27f01c"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o620, 0o601, 0o777])
def test_from_file_refuses_a_file_open_to_others(tmp_path: Path, mode: int) -> None:
    path = key_file(tmp_path, COUNTING, mode)
    with pytest.raises(KeyRefusedError, match=f"got mode {mode:04o}; .*chmod 600"):
        SecretKey.from_file(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "got 0 bytes"),
        (COUNTING[:31], "got 31 bytes"),
        (COUNTING * 3, "got 33 bytes"),
        (bytes(32), "one byte repeated"),
    ],
)
def test_from_file_refuses_a_malformed_file(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(KeyRefusedError, match=message):
        SecretKey.from_file(key_file(tmp_path, content))


def test_from_file_refuses_what_is_no_plain_file(tmp_path: Path) -> None:
    with pytest.raises(KeyRefusedError, match="no such file"):
        SecretKey.from_file(tmp_path / "none")
    with pytest.raises(KeyRefusedError, match="plain file"):
        SecretKey.from_file(Path("/dev/null"))
    os.mkfifo(tmp_path / "pipe", 0o600)  # would block for ever if it were read
    with pytest.raises(KeyRefusedError, match="plain file"):
        SecretKey.from_file(tmp_path / "pipe")
