"""SEGLOCK_KEY_<NAME>: read once, taken out of the environment, never shown."""

from __future__ import annotations

import base64
import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seglock.errors import KeyRefusedError
from seglock.keys import KeyStore, SecretKey, demonstration_key, load_key
from seglock.keys.environment import _decode, environment_key, take_keys
from seglock.keys.secret_access import reveal

SECRET = bytes.fromhex("fbf7e0a93e5d27841f0be2d8766c93505ab47e190dc8f3a26f41be075d92ffff")
KEY = SecretKey.from_bytes(SECRET)
FORMS = {
    "hex": SECRET.hex(),
    "upper-case hex": SECRET.hex().upper(),
    "base64": base64.b64encode(SECRET).decode(),
    "URL base64": base64.urlsafe_b64encode(SECRET).decode(),
    "base64 without padding": base64.b64encode(SECRET).decode().rstrip("="),
    "with a line end": SECRET.hex() + "\n",
}


@pytest.mark.parametrize("form", FORMS)
def test_read_in_hex_and_base64_and_removed(form: str, store: KeyStore, monkeypatch) -> None:
    monkeypatch.setenv("SEGLOCK_KEY_MAIN", FORMS[form])
    assert load_key("main", store=store) == KEY
    assert "SEGLOCK_KEY_MAIN" not in os.environ
    child = [sys.executable, "-c", "import os; print([n for n in os.environ if 'KEY_MAIN' in n])"]
    assert subprocess.check_output(child, text=True) == "[]\n"
    assert load_key("main", store=store) == KEY, "kept in the process for later calls"


@given(st.binary(min_size=32, max_size=32).filter(lambda b: len(set(b)) > 16))
def test_every_form_decodes_to_the_same_bytes(secret: bytes) -> None:
    forms = [secret.hex(), base64.b64encode(secret), base64.urlsafe_b64encode(secret)]
    for form in forms:
        key = _decode(form if isinstance(form, str) else form.decode())
        assert isinstance(key, KeyRefusedError) or reveal(key) == secret


def test_all_keys_leave_the_environment_before_one_is_read(monkeypatch) -> None:
    monkeypatch.setenv("SEGLOCK_KEY_OTHER", FORMS["hex"])
    monkeypatch.setenv("SEGLOCK_KEY_BAD", "hunter2")
    monkeypatch.setenv("SEGLOCK_KEYS", "not a key's")
    assert environment_key("main") is None
    left = {name for name in os.environ if name.startswith("SEGLOCK_KEY")}
    assert left == {"SEGLOCK_KEY_DIR", "SEGLOCK_KEYS"}
    take_keys()
    assert environment_key("other") == KEY
    with pytest.raises(KeyRefusedError, match=r"SEGLOCK_KEY_BAD: .*got 7 characters"):
        environment_key("bad")


def test_the_folder_variable_is_never_taken_for_a_key(monkeypatch) -> None:
    monkeypatch.setenv("SEGLOCK_KEY_DIR", FORMS["hex"])
    with pytest.raises(KeyRefusedError, match="clash with SEGLOCK_KEY_DIR"):
        load_key("dir")
    assert os.environ["SEGLOCK_KEY_DIR"] == FORMS["hex"]


@pytest.mark.parametrize(
    "value",
    [
        "",
        "hunter2",
        SECRET.hex()[:-2],
        SECRET.hex() + "00",
        SECRET.hex()[:-1] + "g",
        base64.b64encode(SECRET[:31]).decode(),
        base64.b64encode(SECRET + b"x").decode(),
        base64.b64encode(SECRET).decode()[:-4] + "*" * 4,
        "0x" + SECRET.hex(),
        "ключ" * 8,
        "00" * 32,
        b"correct horse battery staple 123".hex(),
    ],
)
def test_a_malformed_value_is_refused_unshown_and_removed(value: str, store, monkeypatch) -> None:
    store.new("main")
    monkeypatch.setenv("SEGLOCK_KEY_MAIN", value)
    with pytest.raises(KeyRefusedError, match="SEGLOCK_KEY_MAIN") as caught:
        load_key("main", store=store)
    assert not value or value not in str(caught.value)
    assert value[:6] not in str(caught.value) or not value
    assert "SEGLOCK_KEY_MAIN" not in os.environ
    with pytest.raises(KeyRefusedError, match="SEGLOCK_KEY_MAIN"):
        load_key("main", store=store)  # and not, silently, the store's key


def test_a_new_value_replaces_the_old_one(store: KeyStore, monkeypatch) -> None:
    monkeypatch.setenv("SEGLOCK_KEY_MAIN", "malformed")
    with pytest.raises(KeyRefusedError):
        load_key("main", store=store)
    monkeypatch.setenv("SEGLOCK_KEY_MAIN", KEY.wrong(0).derive("x").hex())
    first = load_key("main", store=store)
    monkeypatch.setenv("SEGLOCK_KEY_MAIN", FORMS["hex"])
    assert load_key("main", store=store) == KEY != first


def test_the_demonstration_key_is_no_secret(store: KeyStore, monkeypatch) -> None:
    monkeypatch.setenv("SEGLOCK_KEY_MAIN", reveal(demonstration_key()).hex())
    with pytest.raises(KeyRefusedError, match="public demonstration key"):
        load_key("main", store=store)
