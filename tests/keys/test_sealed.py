"""Keys on their way: what opens them, what does not, and that one message says why."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import nacl.bindings
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nacl.public import PrivateKey, SealedBox
from nacl.pwhash import argon2id

from seglock.errors import KeyRefusedError
from seglock.keys import Passphrase, PublicRecord, SealedKey, SecretKey, public_half
from seglock.keys.sealed import _canonical

KEY = SecretKey.generate()
COLLEAGUE = SecretKey.generate()
RECORD = PublicRecord.of(KEY)
WORDS = Passphrase("über sieben brücken".encode())


@pytest.fixture(params=["passphrase", "recipient"])
def sealed(request: pytest.FixtureRequest) -> SealedKey:
    return made(request.param)


def made(kind: str) -> SealedKey:
    if kind == "passphrase":
        return SealedKey.by_passphrase("main", KEY, RECORD, WORDS)
    return SealedKey.to_recipient("main", KEY, RECORD, public_half(COLLEAGUE))


def opened(sealed: SealedKey) -> SecretKey:
    return sealed.by(WORDS) if sealed.sealed_for == "passphrase" else sealed.of(COLLEAGUE)


def test_what_was_sealed_opens_again(sealed: SealedKey) -> None:
    again = SealedKey.from_bytes(sealed.to_bytes())
    assert again == sealed
    assert opened(again) == KEY
    assert (again.name, again.record) == ("main", RECORD)


def test_two_exports_of_one_key_have_nothing_secret_in_common() -> None:
    for kind in ("passphrase", "recipient"):
        first, second = made(kind).ciphertext, made(kind).ciphertext
        windows = {first[i : i + 8] for i in range(len(first) - 7)}
        assert not any(second[i : i + 8] in windows for i in range(len(second) - 7))


def test_a_passphrase_is_opened_by_libsodium_as_documented() -> None:
    """The same by libsodium's own functions, from the file alone."""
    values = json.loads(made("passphrase").to_bytes())
    how, ciphertext = values["how"], base64.b64decode(values["ciphertext"])
    stretched = argon2id.kdf(
        32,
        "über sieben brücken".encode(),
        bytes.fromhex(how["salt"]),
        opslimit=how["passes"],
        memlimit=how["memory"],
    )
    header = {k: v for k, v in values.items() if k not in ("ciphertext", "sha256")}
    aad = json.dumps(header, sort_keys=True, separators=(",", ":")).encode()
    secret = nacl.bindings.crypto_aead_xchacha20poly1305_ietf_decrypt(
        ciphertext[24:], aad, ciphertext[:24], stretched
    )
    assert SecretKey.from_bytes(secret) == KEY


def test_a_box_is_opened_by_libsodium_as_documented() -> None:
    values = json.loads(made("recipient").to_bytes())
    box = SealedBox(PrivateKey(COLLEAGUE.derive("recipient/box")))
    content = box.decrypt(base64.b64decode(values["ciphertext"]))
    assert len(content) == 64
    assert SecretKey.from_bytes(content[32:]) == KEY


def test_by_default_the_passphrase_is_stretched_at_full_cost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("seglock.keys.sealed._MEMORY", argon2id.MEMLIMIT_MODERATE)
    monkeypatch.setattr("seglock.keys.sealed._PASSES", argon2id.OPSLIMIT_MODERATE)
    monkeypatch.setattr(Passphrase, "stretched", lambda self, size, salt, **_: bytes(size))
    how = made("passphrase").how
    assert (how["memory"], how["passes"]) == (256 << 20, 3)


def changed(sealed: SealedKey, change: Callable[[dict[str, Any]], object]) -> bytes:
    """The file with other values and a checksum that fits them, as a forger makes it."""
    values = json.loads(sealed.to_bytes())
    change(values)
    values.pop("sha256", None)
    values["sha256"] = hashlib.sha256(_canonical(values)).hexdigest()
    return json.dumps(values).encode()


FORGED: dict[str, Callable[[dict[str, Any]], object]] = {
    "name": lambda v: v.update(name="second"),
    "created": lambda v: v["record"].update(created="2020-01-01T00:00:00+00:00"),
    "hash": lambda v: v["record"].update(hash=PublicRecord.of(COLLEAGUE).hash),
    "id": lambda v: v["record"].update(id="0" * 16),
    "ciphertext": lambda v: v.update(ciphertext=base64.b64encode(bytes(80)).decode()),
    "short ciphertext": lambda v: v.update(ciphertext="AAAA"),
    "no ciphertext": lambda v: v.update(ciphertext=""),
}


@pytest.mark.parametrize("change", FORGED)
def test_no_field_can_be_changed(sealed: SealedKey, change: str) -> None:
    forged = SealedKey.from_bytes(changed(sealed, FORGED[change]))
    with pytest.raises(KeyRefusedError, match="must be opened by what it was sealed for"):
        opened(forged)


ODD: dict[str, Callable[[dict[str, Any]], object]] = {
    "a field more": lambda v: v.update(more=1),
    "a field less": lambda v: v.pop("name"),
    "a path as name": lambda v: v.update(name="../main"),
    "a number as name": lambda v: v.update(name=3),
    "another kind": lambda v: v.update(sealed_for="nobody"),
    "a list as kind": lambda v: v.update(sealed_for=[]),
    "no way": lambda v: v.update(how=None),
    "another way": lambda v: v.update(how={"public": 3, "kdf": "md5"}),
    "a record of no key": lambda v: v["record"].update(id="main"),
    "ciphertext that is no base64": lambda v: v.update(ciphertext="!"),
}


@pytest.mark.parametrize("change", ODD)
def test_other_fields_are_refused_unopened(sealed: SealedKey, change: str) -> None:
    with pytest.raises(KeyRefusedError, match="fields that no export has; ask for it again"):
        SealedKey.from_bytes(changed(sealed, ODD[change]))


@pytest.mark.parametrize(
    "how", [{"memory": 1 << 40}, {"passes": 99}, {"passes": True}, {"salt": "00"}, {"kdf": "md5"}]
)
def test_a_cost_that_would_stop_the_machine_is_refused(how: dict[str, Any]) -> None:
    with pytest.raises(KeyRefusedError, match="fields that no export has"):
        SealedKey.from_bytes(changed(made("passphrase"), lambda v: v["how"].update(how)))


def test_another_version_says_so(sealed: SealedKey) -> None:
    content = changed(sealed, lambda v: v.update(version=2))
    with pytest.raises(KeyRefusedError, match="must be of version 1, got version 2; import it"):
        SealedKey.from_bytes(content)


@settings(max_examples=60)
@given(st.data())
def test_damage_is_told_before_anything_is_opened(data: st.DataObject) -> None:
    content = made("recipient").to_bytes()
    place = data.draw(st.integers(0, len(content) - 1))
    byte = data.draw(st.integers(0, 255))
    damaged = content[:place] + bytes([byte]) + content[place + 1 :]
    try:
        again = SealedKey.from_bytes(damaged)
    except KeyRefusedError:
        return
    assert again == SealedKey.from_bytes(content)  # a space, or the byte that it was


@pytest.mark.parametrize("content", [b"", b"[1]", b"{}", b"\x89PNG", b"\xff" * 40, b"null"])
def test_another_file_is_told(content: bytes) -> None:
    with pytest.raises(KeyRefusedError, match="must be a key that `seglock key export` wrote"):
        SealedKey.from_bytes(content)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_file_cut_short_is_told(sealed: SealedKey, share: float) -> None:
    content = sealed.to_bytes()
    with pytest.raises(KeyRefusedError, match="ends too early"):
        SealedKey.from_bytes(content[: int(share * len(content))])


def test_a_wrong_passphrase_and_another_recipient_are_told() -> None:
    with pytest.raises(KeyRefusedError, match="got another passphrase; type it exactly"):
        made("passphrase").by(Passphrase(b"something else"))
    with pytest.raises(KeyRefusedError, match=f"again with --to {public_half(KEY)}"):
        made("recipient").of(KEY)


def test_another_key_inside_than_the_record_says_is_refused() -> None:
    forged = replace(RECORD, id=COLLEAGUE.id)
    with pytest.raises(KeyRefusedError, match="must be the one its record describes"):
        SealedKey.by_passphrase("main", KEY, forged, WORDS).by(WORDS)


@pytest.mark.parametrize("public", ["", "main", "g" * 64, "0" * 63, "A" * 64])
def test_what_is_no_public_key_is_refused(public: str) -> None:
    with pytest.raises(KeyRefusedError, match="seglock key recipient"):
        SealedKey.to_recipient("main", KEY, RECORD, public)


@pytest.mark.parametrize("size", [0, 11, 1025])
def test_a_passphrase_that_can_be_tried_out_is_refused(size: int) -> None:
    with pytest.raises(KeyRefusedError, match="five or more random words"):
        SealedKey.by_passphrase("main", KEY, RECORD, Passphrase(b"x" * size))
