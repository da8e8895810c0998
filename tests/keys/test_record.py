"""PublicRecord: Argon2id, its file, and which secrets it refuses."""

from __future__ import annotations

import dataclasses
import json
from datetime import datetime, timedelta, timezone
from pathlib import Path

import argon2
import pytest

from seglock.errors import KeyRefusedError, StorageError
from seglock.keys import PublicRecord, SecretKey
from seglock.keys.secret_access import reveal

KEY = SecretKey.from_bytes(bytes(range(32)))
RECORD = PublicRecord.of(KEY)
# Argon2id of bytes(range(32)) by argon2-cffi 25.1 with a small cost, so that the test is quick.
FROZEN = PublicRecord(
    id="70d0aae9ca27f01c",
    hash="$argon2id$v=19$m=1024,t=1,p=1$Z/upOQDI9DP5TY0m62V3VA$ks8zs4Yc8P21EKbq6kQbSEpKV0ryItQgTSGpTOfwu0w",
    created="2026-01-02T03:04:05+00:00",
    derivation=2,
)


@pytest.mark.usefixtures("full_hash")
def test_of_hashes_the_secret_with_argon2id_at_rfc_9106_cost() -> None:
    record = PublicRecord.of(KEY)
    cost = argon2.extract_parameters(record.hash)
    assert cost == argon2.profiles.RFC_9106_LOW_MEMORY
    assert argon2.PasswordHasher().verify(record.hash, reveal(KEY))
    record.verify(KEY)
    assert RECORD.id == KEY.id
    assert RECORD.derivation == 2


def test_each_record_has_its_own_salt() -> None:
    assert PublicRecord.of(KEY).hash != RECORD.hash


def test_time_is_utc() -> None:
    east = datetime(2026, 3, 1, 1, 30, tzinfo=timezone(timedelta(hours=2)))
    assert PublicRecord.of(KEY, now=east).created == "2026-02-28T23:30:00+00:00"


def test_round_trip_and_file_layout(tmp_path: Path) -> None:
    content = RECORD.to_bytes()
    assert PublicRecord.from_bytes(content) == RECORD
    assert list(json.loads(content)) == ["id", "hash", "created", "derivation"]
    (tmp_path / "main.json").write_bytes(content)
    assert PublicRecord.from_file(tmp_path / "main.json") == RECORD


def test_a_record_written_once_is_read_for_ever() -> None:
    FROZEN.verify(KEY)
    RECORD.verify(KEY)


def test_verify_refuses_another_key() -> None:
    other = KEY.wrong(0)
    with pytest.raises(KeyRefusedError, match=f"ask its owner for key {KEY.id}") as caught:
        RECORD.verify(other)
    assert f"got key {other.id}, record of key {KEY.id}" in str(caught.value)


def test_verify_refuses_a_hash_of_another_key_under_the_same_id() -> None:
    forged = dataclasses.replace(PublicRecord.of(KEY.wrong(0)), id=KEY.id)
    with pytest.raises(KeyRefusedError, match="the record was altered"):
        forged.verify(KEY)


def test_verify_refuses_a_derivation_it_does_not_know() -> None:
    with pytest.raises(KeyRefusedError, match=r"version 2, got version 1.*seglock key new NAME"):
        dataclasses.replace(RECORD, derivation=1).verify(KEY)


@pytest.mark.usefixtures("full_hash")
def test_no_memory_for_argon2_is_not_taken_for_a_wrong_key(monkeypatch) -> None:
    def refuse(*args: object) -> None:
        raise argon2.exceptions.VerificationError("Memory allocation error")

    monkeypatch.setattr(argon2.PasswordHasher, "verify", refuse)
    with pytest.raises(StorageError, match="64 MiB of memory"):
        RECORD.verify(KEY)


# The time is no part of a test's name: two processes must find the same tests.
GOOD = dataclasses.asdict(RECORD) | {"created": "2026-01-02T03:04:05+00:00"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no JSON object"),
        (b"\xff\xfe", "no JSON object"),
        (b"[]", "no JSON object"),
        (RECORD.to_bytes()[:60], "no JSON object"),
        (json.dumps({k: v for k, v in GOOD.items() if k != "hash"}), "missing hash"),
        (json.dumps(GOOD | {"secret": "x"}), "unexpected fields"),
        (json.dumps(GOOD | {"id": "XYZ"}), "16 hexadecimal digits"),
        (json.dumps(GOOD | {"id": 7}), "16 hexadecimal digits"),
        (json.dumps(GOOD | {"hash": "sha256:00"}), "Argon2id in PHC format"),
        (json.dumps(GOOD | {"hash": GOOD["hash"].replace("2id", "2i")}), "Argon2id"),
        (json.dumps(GOOD | {"hash": GOOD["hash"].replace("m=64,", "m=99999999,")}), "cost"),
        (json.dumps(GOOD | {"hash": GOOD["hash"].replace("t=1,", "t=99999,")}), "cost"),
        (json.dumps(GOOD | {"hash": GOOD["hash"].replace("p=4", "p=0")}), "cost"),
        (json.dumps(GOOD | {"created": "yesterday"}), "ISO 8601 in UTC"),
        (json.dumps(GOOD | {"created": "2026-01-02T03:04:05"}), "ISO 8601 in UTC"),
        (json.dumps(GOOD | {"created": "2026-01-02T03:04:05+02:00"}), "ISO 8601 in UTC"),
        (json.dumps(GOOD | {"derivation": "1"}), "version number"),
        (json.dumps(GOOD | {"derivation": True}), "version number"),
        (json.dumps(GOOD | {"derivation": 0}), "version number"),
    ],
)
def test_damaged_records_are_refused(tmp_path: Path, content: bytes | str, message: str) -> None:
    raw = content.encode() if isinstance(content, str) else content
    with pytest.raises(KeyRefusedError, match=message):
        PublicRecord.from_bytes(raw)
    path = tmp_path / "main.json"
    path.write_bytes(raw)
    with pytest.raises(KeyRefusedError, match=message) as caught:
        PublicRecord.from_file(path)
    assert str(path) in str(caught.value)


def test_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(KeyRefusedError, match="no such file"):
        PublicRecord.from_file(tmp_path / "main.json")
