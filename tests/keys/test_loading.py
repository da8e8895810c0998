"""load_key and publish_key: every key is checked, and no record is ever written over."""

from __future__ import annotations

from pathlib import Path

import pytest

from seglock.errors import KeyRefusedError, StorageError
from seglock.keys import KeyStore, PublicRecord, SecretKey, load_key, publish_key

KEY = SecretKey.from_bytes(bytes(range(32)))
IN_HEX = bytes(range(32)).hex()


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "data" / "keys" / "main.json"


def test_load_from_the_store(store: KeyStore) -> None:
    record = store.new("main")
    assert load_key("main", store=store).id == record.id
    assert load_key("main", store=store, record=record).id == record.id
    again = PublicRecord.of(store.load("main"))  # another salt, the same key
    assert load_key("main", store=store, record=again).id == record.id


def test_the_default_store_is_used(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SEGLOCK_KEY_DIR", str(tmp_path / "default"))
    record = KeyStore().new("main")
    assert load_key("main").id == record.id


def test_load_refuses_a_key_of_another_record(store: KeyStore) -> None:
    store.new("main")
    with pytest.raises(KeyRefusedError, match=f"ask its owner for key {KEY.id}"):
        load_key("main", store=store, record=PublicRecord.of(KEY))


def test_load_names_what_is_missing(store: KeyStore) -> None:
    with pytest.raises(KeyRefusedError, match="make it with `seglock key new main`"):
        load_key("main", store=store)
    with pytest.raises(KeyRefusedError, match=f"ask its owner for key {KEY.id}") as caught:
        load_key("main", store=store, record=PublicRecord.of(KEY))
    assert caught.value.exit_code == 3


def test_the_environment_comes_first_and_is_checked(store: KeyStore, monkeypatch) -> None:
    monkeypatch.setenv("SEGLOCK_KEY_MAIN", IN_HEX)
    assert load_key("main", store=store) == KEY
    assert load_key("main", store=store, record=PublicRecord.of(KEY)) == KEY
    stored = store.new("main")
    with pytest.raises(KeyRefusedError, match=f"record of key {stored.id}"):
        load_key("main", store=store)
    assert load_key("main", store=store, record=PublicRecord.of(KEY)) == KEY


# Publishing


def publish(store: KeyStore, target: Path, *, create_missing: bool = True) -> PublicRecord:
    return publish_key("main", target=target, create_missing=create_missing, store=store)


def test_publish_makes_a_missing_key_once(store: KeyStore, target: Path) -> None:
    record = publish(store, target)
    assert store.names() == ["main"]
    assert target.read_bytes() == store.record_bytes("main") == record.to_bytes()
    assert publish(store, target) == record


def test_publish_copies_the_store_s_record_byte_for_byte(store: KeyStore, target: Path) -> None:
    store.new("main")
    path = store.path("main") / "record.json"
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))  # another layout, the same record
    publish(store, target, create_missing=False)
    assert target.read_bytes() == path.read_bytes()
    assert b"\r\n" in target.read_bytes()


def test_publish_makes_no_key_unless_allowed(store: KeyStore, target: Path) -> None:
    with pytest.raises(KeyRefusedError, match="must exist"):
        publish(store, target, create_missing=False)
    assert store.names() == []
    assert not target.exists()


def test_publish_keeps_an_existing_record_byte_for_byte(store: KeyStore, target: Path) -> None:
    store.new("main")
    target.parent.mkdir(parents=True)
    other_salt = PublicRecord.of(store.load("main")).to_bytes() + b"\n"
    target.write_bytes(other_salt)
    publish(store, target)
    assert target.read_bytes() == other_salt


def test_publish_never_makes_a_key_over_an_existing_record(store: KeyStore, target: Path) -> None:
    target.parent.mkdir(parents=True)
    target.write_bytes(PublicRecord.of(KEY).to_bytes())
    before = target.read_bytes()
    with pytest.raises(KeyRefusedError, match=f"ask its owner for key {KEY.id}"):
        publish(store, target)
    assert store.names() == []
    store.new("main")
    with pytest.raises(KeyRefusedError, match="the one its record describes"):
        publish(store, target)
    assert target.read_bytes() == before


@pytest.mark.parametrize("content", [b"", b"{}", b"\x00" * 200])
def test_publish_keeps_even_a_damaged_record(store, target: Path, content: bytes) -> None:
    target.parent.mkdir(parents=True)
    target.write_bytes(content)
    with pytest.raises(KeyRefusedError, match="restore it from version control"):
        publish(store, target)
    assert target.read_bytes() == content
    assert store.names() == []


def test_publish_makes_a_record_of_an_environment_key(store, target: Path, monkeypatch) -> None:
    monkeypatch.setenv("SEGLOCK_KEY_MAIN", IN_HEX)
    record = publish(store, target)
    record.verify(KEY)
    assert store.names() == [], "a secret from the environment is not written anywhere"
    assert publish(store, target) == record


def test_publish_refuses_an_environment_key_that_is_not_the_store_s(
    store: KeyStore, target: Path, monkeypatch
) -> None:
    stored = store.new("main")
    monkeypatch.setenv("SEGLOCK_KEY_MAIN", IN_HEX)
    with pytest.raises(KeyRefusedError, match=f"got key {KEY.id}, record of key {stored.id}"):
        publish(store, target)
    assert not target.exists()


def test_publish_uses_the_key_that_another_process_has_just_made(
    store: KeyStore, target: Path, monkeypatch
) -> None:
    real = KeyStore.new

    def raced(self: KeyStore, name: str) -> PublicRecord:
        real(KeyStore(store.folder), name)
        return real(self, name)

    monkeypatch.setattr(KeyStore, "new", raced)
    assert publish(store, target).id == store.load("main").id


def test_a_full_disk_leaves_no_half_record(store: KeyStore, target: Path, monkeypatch) -> None:
    store.new("main")

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", full)
        with pytest.raises(StorageError, match="no space left"):
            publish(store, target)
    assert [*target.parent.iterdir()] == []
    publish(store, target)
