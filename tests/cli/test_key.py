"""``seglock key``: what it prints, what it refuses, and that it prints no secret."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from seglock.cli.key import app
from seglock.errors import KeyRefusedError
from seglock.keys import KeyStore, PublicRecord, SecretKey, environment

PARAMS = "locks:\n  baseline: {steps: []}\n  shf-4: {steps: [shf-4]}\n"


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(environment, "_taken", {})
    monkeypatch.setenv("SEGLOCK_KEY_DIR", str(tmp_path / "store"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: str) -> Result:
    result = CliRunner().invoke(app, arguments)
    for path in KeyStore().folder.glob("*/secret"):
        secret = path.read_bytes()
        assert secret not in result.stdout_bytes
        assert secret.hex() not in result.output
    return result


def succeed(*arguments: str) -> str:
    result = run(*arguments)
    assert result.exception is None, result.exception
    return result.output


def refused(*arguments: str) -> str:
    error = run(*arguments).exception
    assert isinstance(error, KeyRefusedError), error
    assert error.exit_code == 3
    return str(error)


def test_new_says_where_and_which_and_to_back_up() -> None:
    shown = succeed("new", "main")
    assert KeyStore().record("main").id in shown
    assert str(KeyStore().secret_path("main")) in shown
    assert "back it up" in shown
    assert "never written over" in refused("new", "main")


def test_list_and_show_give_public_records_only() -> None:
    assert "0 keys" in succeed("list")
    succeed("new", "main")
    succeed("new", "second")
    shown = succeed("list")
    assert "2 keys" in shown
    assert all(KeyStore().record(name).id in shown for name in ("main", "second"))
    assert PublicRecord.from_bytes(succeed("show", "main").encode()) == KeyStore().record("main")
    assert "seglock key list" in refused("show", "absent")


def test_verify_against_the_store_the_project_and_a_file(project: Path) -> None:
    succeed("new", "main")
    assert "the key store" in succeed("verify", "main")
    published = project / "data" / "keys" / "main.json"
    published.parent.mkdir(parents=True)
    published.write_bytes(KeyStore().record_bytes("main"))
    assert "data/keys/main.json" in succeed("verify", "main")
    other = project / "other.json"
    other.write_bytes(PublicRecord.of(SecretKey.generate()).to_bytes())
    assert "ask its owner" in refused("verify", "main", "--record", str(other))
    published.write_bytes(other.read_bytes())
    assert "ask its owner" in refused("verify", "main")


def test_verify_an_environment_key_without_showing_it(monkeypatch) -> None:
    succeed("new", "main")
    monkeypatch.setenv("SEGLOCK_KEY_MAIN", KeyStore().secret_path("main").read_bytes().hex())
    succeed("verify", "main")
    monkeypatch.setenv("SEGLOCK_KEY_MAIN", "my-secret-passphrase")
    assert "my-secret" not in refused("verify", "main")


def test_publish_is_the_stage(project: Path) -> None:
    (project / "params.yaml").write_text(PARAMS)
    shown = succeed("publish")
    assert "data/keys/main.json" in shown
    assert "back it up" in shown
    lock = json.loads((project / "data/keys/locks/shf-4.json").read_text())
    assert lock["id"] == KeyStore().record("main").id
    assert "back it up" not in succeed("publish")


WORDS = "four stones under a quiet bridge"


@pytest.fixture
def words(project: Path) -> str:
    path = project / "words"
    path.write_text(f"{WORDS}\n")
    path.chmod(0o600)
    return str(path)


@pytest.fixture
def elsewhere(project: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Turns to the colleague's machine."""
    return lambda: monkeypatch.setenv("SEGLOCK_KEY_DIR", str(project / "colleague"))


def test_a_key_goes_to_another_machine_by_a_passphrase(
    project: Path, words: str, elsewhere: Callable[[], None]
) -> None:
    succeed("new", "main")
    record, secret = KeyStore().record("main"), KeyStore().secret_path("main").read_bytes()
    shown = succeed("export", "main", "-o", "out/main.key", "--passphrase-file", words)
    assert record.id in shown
    assert WORDS not in shown
    sealed = project / "out" / "main.key"
    assert (sealed.stat().st_mode & 0o777, sealed.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert secret not in sealed.read_bytes()
    assert "name another" in refused(
        "export", "main", "-o", str(sealed), "--passphrase-file", words
    )
    elsewhere()
    assert f"key {record.id} imported main" in succeed(
        "import", str(sealed), "--passphrase-file", words
    )
    assert KeyStore().record_bytes("main") == record.to_bytes()
    assert KeyStore().secret_path("main").read_bytes() == secret
    assert KeyStore().secret_path("main").stat().st_mode & 0o777 == 0o600
    assert record.id in succeed("verify", "main")
    assert "is here already" in succeed("import", str(sealed), "--passphrase-file", words)


def test_a_key_goes_to_a_colleagues_public_key(
    project: Path, elsewhere: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    succeed("new", "main")
    mine = KeyStore().folder
    elsewhere()
    public = succeed("recipient").strip()
    assert public == succeed("recipient").strip()
    machine = KeyStore().folder / ".machine"
    assert (machine / "secret").stat().st_mode & 0o777 == 0o600
    assert machine.stat().st_mode & 0o777 == 0o700
    assert "0 keys" in succeed("list")
    monkeypatch.setenv("SEGLOCK_KEY_DIR", str(mine))
    succeed("export", "main", "--to", f" {public}", "-o", "main.key")
    assert "--to" in refused("import", "main.key", "--as", "second")
    elsewhere()
    succeed("import", "main.key")
    assert KeyStore().record("main") == KeyStore(mine).record("main")


def test_another_key_of_that_name_is_never_written_over(
    words: str, elsewhere: Callable[[], None]
) -> None:
    succeed("new", "main")
    succeed("export", "main", "-o", "main.key", "--passphrase-file", words)
    elsewhere()
    succeed("new", "main")
    before = KeyStore().secret_path("main").read_bytes()
    # Told before anyone is asked for a passphrase.
    assert "--as NAME" in refused("import", "main.key")
    assert KeyStore().secret_path("main").read_bytes() == before
    succeed("import", "main.key", "--as", "theirs", "--passphrase-file", words)
    assert KeyStore().names() == ["main", "theirs"]


@pytest.mark.parametrize(
    ("content", "says"),
    [(None, "no such file"), (b"{}", "seglock key export"), (b"x" * 70_000, "more than")],
)
def test_what_is_no_sealed_key_is_named(project: Path, content: bytes | None, says: str) -> None:
    path = project / "main.key"
    if content is not None:
        path.write_bytes(content)
    message = refused("import", "main.key")
    assert says in message
    assert "main.key" in message


def test_a_key_from_the_environment_is_exported_too(
    words: str, elsewhere: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    succeed("new", "main")
    secret = KeyStore().secret_path("main").read_bytes()
    elsewhere()
    monkeypatch.setenv("SEGLOCK_KEY_MAIN", secret.hex())
    succeed("export", "main", "-o", "main.key", "--passphrase-file", words)
    succeed("import", "main.key", "--passphrase-file", words)
    assert KeyStore().secret_path("main").read_bytes() == secret
