"""KeyStore: where secrets are, that they are whole or absent, and what it refuses."""

from __future__ import annotations

import errno
import os
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from seglock.errors import KeyRefusedError, SeglockError, StorageError
from seglock.keys import KeyStore, SecretKey, demonstration_key
from seglock.keys.secret_access import reveal


def modes(folder: Path) -> dict[str, str]:
    paths = [folder, *folder.rglob("*")]
    return {str(p.relative_to(folder)): f"{stat.S_IMODE(p.stat().st_mode):04o}" for p in paths}


def test_new_key_is_private_whatever_the_umask(store: KeyStore) -> None:
    before = os.umask(0)
    try:
        record = store.new("main")
    finally:
        os.umask(before)
    assert modes(store.folder) == {
        ".": "0700",
        "main": "0700",
        "main/record.json": "0600",
        "main/secret": "0600",
    }
    assert store.secret_path("main").read_bytes() == reveal(store.load("main"))
    assert store.record_bytes("main") == record.to_bytes()
    assert store.record("main") == record
    assert store.load("main").id == record.id


def test_names_are_sorted_and_hold_whole_keys_only(store: KeyStore) -> None:
    assert store.names() == []
    for name in ("main", "a-2", "old.key_1"):
        store.new(name)
    (store.folder / "empty").mkdir()
    (store.folder / ".main.x1y2").mkdir()
    (store.folder / "notes.txt").write_text("mine")
    assert store.names() == ["a-2", "main", "old.key_1"]
    assert len({store.record(name).id for name in store.names()}) == 3


@pytest.mark.parametrize("git", ["folder", "file"])  # a worktree's .git is a file
def test_no_key_is_made_inside_a_git_work_tree(tmp_path: Path, git: str) -> None:
    tree = tmp_path / "project"
    (tree / "deep").mkdir(parents=True)
    (tree / ".git").mkdir() if git == "folder" else (tree / ".git").write_text("gitdir: x")
    (tmp_path / "link").symlink_to(tree / "deep")
    for folder in (tree / "deep" / "keys", tree, tmp_path / "link" / "keys"):
        with pytest.raises(
            KeyRefusedError, match=r"outside every git work tree.*set SEGLOCK_KEY_DIR"
        ):
            KeyStore(folder).new("main")
    assert sorted(p.name for p in tree.rglob("*")) == [".git", "deep"]
    KeyStore(tmp_path / "beside").new("main")


def test_a_relative_store_is_found_out_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".git").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SEGLOCK_KEY_DIR", "keys")
    with pytest.raises(KeyRefusedError, match="inside"):
        KeyStore().new("main")
    assert not (tmp_path / "keys").exists()


def test_an_existing_key_is_never_written_over(store: KeyStore) -> None:
    first = store.new("main")
    with pytest.raises(KeyRefusedError, match=f"got key {first.id}; .*never written over"):
        store.new("main")
    assert store.load("main").id == first.id


@pytest.mark.parametrize("remains", ["secret", "record.json", "anything"])
def test_what_remains_of_a_key_is_never_written_over(store: KeyStore, remains: str) -> None:
    store.folder.mkdir(mode=0o700)
    store.path("main").mkdir()
    (store.path("main") / remains).write_bytes(b"x")
    with pytest.raises(SeglockError):
        store.new("main")
    assert (store.path("main") / remains).read_bytes() == b"x"


@pytest.mark.parametrize(
    "name",
    ["", "Main", "../main", "a/b", ".hidden", "-f", "a b", "x" * 64, "ключ", "main\n", "dir"],
)
def test_names_that_cannot_be_one_are_refused(store: KeyStore, name: str) -> None:
    for attempt in (store.new, store.record, store.load, store.path, store.__contains__):
        with pytest.raises(KeyRefusedError, match="a key's name must"):
            attempt(name)
    assert not store.folder.exists()


def test_the_folder_is_the_one_the_environment_names(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("SEGLOCK_KEY_DIR", str(tmp_path / "here"))
    assert KeyStore().folder == tmp_path / "here"
    monkeypatch.setenv("SEGLOCK_KEY_DIR", "../keys")
    monkeypatch.setenv("DVC_ROOT", str(tmp_path / "project"))  # as in an experiment of DVC's
    assert KeyStore().folder == tmp_path / "project" / "../keys"
    monkeypatch.delenv("SEGLOCK_KEY_DIR")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert KeyStore().folder == tmp_path / "data" / "seglock" / "keys"


# Refusals of load


def test_a_missing_key_says_how_to_make_it(store: KeyStore) -> None:
    with pytest.raises(KeyRefusedError, match="seglock key new main"):
        store.load("main")


def test_a_record_without_its_secret_names_the_id_to_ask_for(store: KeyStore) -> None:
    record = store.new("main")
    store.secret_path("main").unlink()
    with pytest.raises(KeyRefusedError, match=f"ask its owner for key {record.id}"):
        store.load("main")


def test_a_secret_without_its_record_says_what_to_put_back(store: KeyStore) -> None:
    store.new("main")
    (store.path("main") / "record.json").unlink()
    with pytest.raises(KeyRefusedError, match=r"put a copy of the project's data/keys/main\.json"):
        store.load("main")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda p: p.chmod(0o644), "closed to everyone but its owner, got mode 0644"),
        (lambda p: p.write_bytes(p.read_bytes()[:20]), "exactly 32 bytes, got 20 bytes"),
        (lambda p: p.write_bytes(p.read_bytes() + b"\n"), "got 33 bytes"),
        (lambda p: p.write_bytes(os.urandom(32)), "the one its record describes"),
        (lambda p: p.write_bytes(bytes(32)), "one byte repeated"),
    ],
)
def test_a_damaged_secret_is_refused(store: KeyStore, damage: Callable, message: str) -> None:
    store.new("main")
    damage(store.secret_path("main"))
    with pytest.raises(KeyRefusedError, match=message) as caught:
        store.load("main")
    assert caught.value.exit_code == 3


def test_a_store_that_others_can_write_to_is_refused(store: KeyStore) -> None:
    store.new("main")
    store.folder.chmod(0o777)
    for attempt in (store.load, lambda _: store.new("other")):
        with pytest.raises(KeyRefusedError, match="not be writable by others, got mode 0777"):
            attempt("main")
    assert store.names() == ["main"]


def refused(store: KeyStore, message: str) -> None:
    """Every way to the secret is barred, before anything of it is read or made."""
    for attempt in (store.load, lambda _: store.new("other")):
        with pytest.raises(KeyRefusedError, match=message):
            attempt("main")


def test_a_store_is_a_folder_itself_and_so_is_a_key(store: KeyStore, tmp_path: Path) -> None:
    store.new("main")
    store.folder.rename(tmp_path / "real")
    store.folder.symlink_to(tmp_path / "real")
    refused(store, "must be a folder, got a link; set SEGLOCK_KEY_DIR to where it leads")
    real = KeyStore(tmp_path / "real")
    real.load("main")
    (tmp_path / "above").symlink_to(tmp_path)  # as a home folder may be
    KeyStore(tmp_path / "above" / "real").load("main")
    real.path("main").rename(tmp_path / "elsewhere")
    real.path("main").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(KeyRefusedError, match="must be a folder, got a link"):
        real.load("main")


@pytest.mark.parametrize("file", ["secret", "record.json"])
def test_a_keys_files_are_files_themselves(store: KeyStore, tmp_path: Path, file: str) -> None:
    store.new("main")
    path = store.path("main") / file
    path.rename(tmp_path / "moved")
    path.symlink_to(tmp_path / "moved")
    for attempt in (store.load, store.record, store.record_bytes):
        with pytest.raises(KeyRefusedError, match=f"{file} must be a file, got a link"):
            attempt("main")


@pytest.mark.parametrize("mode", [0o755, 0o710, 0o777, 0o702])
def test_an_open_key_folder_is_refused(store: KeyStore, mode: int) -> None:
    store.new("main")
    store.path("main").chmod(mode)
    with pytest.raises(KeyRefusedError, match=r"must not be open to others.*chmod 700.*main"):
        store.load("main")


@pytest.mark.parametrize("part", ["", "main", "main/secret", "main/record.json"])
def test_what_belongs_to_another_user_is_refused(store: KeyStore, part: str) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give files away")
    store.new("main")
    os.chown(store.folder / part, 12345, -1)
    with pytest.raises(KeyRefusedError, match=r"user .*12345|must be yours, got one of user 12345"):
        store.load("main")


def test_a_store_that_came_into_a_git_work_tree_is_refused(store: KeyStore) -> None:
    store.new("main")
    (store.folder.parent / ".git").mkdir()
    refused(store, "must lie outside every git work tree")


@pytest.mark.parametrize(
    ("mode", "own_group", "fine"),
    [(0o777, True, False), (0o1777, True, True), (0o775, True, True), (0o775, False, False),
     (0o755, False, True)],
)  # fmt: skip
def test_nobody_else_can_move_the_store_away(
    tmp_path: Path, mode: int, own_group: bool, fine: bool
) -> None:
    above = tmp_path / "above"
    above.mkdir()
    if not own_group and os.geteuid() != 0:
        pytest.skip("only root can give files away")
    os.chown(above, -1, os.geteuid() if own_group else 12345)
    store = KeyStore(above / "deep" / "store")
    store.new("main")
    above.chmod(mode)
    if fine:
        store.load("main")
    else:
        refused(store, f"above the key store .* writable by others, got {above} of mode")


def test_folders_that_it_makes_on_the_way_are_private_too(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        KeyStore(tmp_path / "a" / "b" / "c").new("main")
    finally:
        os.umask(before)
    assert {*modes(tmp_path / "a").values()} == {"0700", "0600"}


def test_the_demonstration_key_is_no_secret(store: KeyStore, monkeypatch) -> None:
    monkeypatch.setattr(SecretKey, "generate", demonstration_key)
    store.new("main")
    with pytest.raises(KeyRefusedError, match="public demonstration key"):
        store.load("main")


# Both or neither

CALLS = ["write", "fsync", "rename"]


def fail_at(call: str, nth: int, how: Callable[[], object]) -> Callable[..., object]:
    real, count = getattr(os, call), [0]

    def wrapped(*arguments: object, **options: object) -> object:
        count[0] += 1
        return how() if count[0] == nth else real(*arguments, **options)

    return wrapped


def raise_full() -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def raise_interrupt() -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("call", "nth"),
    [("write", 1), ("write", 2), ("fsync", 1), ("fsync", 2), ("fsync", 3), ("rename", 1)],
)
def test_a_full_disk_leaves_nothing(store: KeyStore, monkeypatch, call: str, nth: int) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(os, call, fail_at(call, nth, raise_full))
        with pytest.raises(StorageError, match=r"no space left on device; .*no key was made"):
            store.new("main")
    assert [*store.folder.iterdir()] == []
    assert store.new("main").id == store.load("main").id


@pytest.mark.parametrize("nth", [1, 2])
def test_a_short_write_leaves_nothing(store: KeyStore, monkeypatch, nth: int) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", fail_at("write", nth, lambda: 7))
        with pytest.raises(StorageError, match="no space left"):
            store.new("main")
    assert [*store.folder.iterdir()] == []


@pytest.mark.parametrize(("call", "nth"), [("write", 1), ("write", 2), ("fsync", 3)])
def test_an_interrupt_leaves_nothing(store: KeyStore, monkeypatch, call: str, nth: int) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(os, call, fail_at(call, nth, raise_interrupt))
        with pytest.raises(KeyboardInterrupt):
            store.new("main")
    assert [*store.folder.iterdir()] == []


def test_a_failure_after_the_last_step_keeps_the_key(store: KeyStore, monkeypatch) -> None:
    monkeypatch.setattr(os, "fsync", fail_at("fsync", 4, raise_full))
    assert store.new("main").id == store.load("main").id


KILLED = """
import os, signal, sys
from pathlib import Path
from seglock.keys import KeyStore
call, nth, folder = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
real, count = getattr(os, call), 0
def killed(*arguments, **options):
    global count
    count += 1
    if count == nth:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(*arguments, **options)
setattr(os, call, killed)
KeyStore(folder).new("main")
"""


@pytest.mark.parametrize(
    ("call", "nth", "made"),
    [("write", 1, False), ("write", 2, False), ("fsync", 2, False), ("fsync", 3, False),
     ("rename", 1, False), ("fsync", 4, True)],
)  # fmt: skip
def test_a_kill_leaves_both_or_neither(store: KeyStore, call: str, nth: int, made: bool) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED, call, str(nth), str(store.folder)])
    assert done.returncode == -signal.SIGKILL
    assert store.names() == (["main"] if made else [])
    if made:
        store.load("main")
    else:
        assert "main" not in store
        assert store.new("main").id == store.load("main").id


@pytest.mark.parametrize("attempt", ["load", "new", "check"])
def test_the_next_command_clears_what_a_kill_left(store: KeyStore, attempt: str) -> None:
    store.new("main")
    code = KILLED.replace("'main'", "'late'").replace('"main"', '"late"')
    subprocess.run([sys.executable, "-c", code, "rename", "1", str(store.folder)])
    (draft,) = store.folder.glob(".late.*")
    assert (draft / "secret").stat().st_size == 32
    if attempt == "check":
        assert store.check() == 1
    else:
        getattr(store, attempt)("main" if attempt == "load" else "other")
    assert not draft.exists()
    assert store.check() == 0


def test_a_key_that_is_being_made_is_left_alone(store: KeyStore, monkeypatch) -> None:
    seen = []
    real = Path.rename

    def late(draft: Path, target: Path) -> Path:
        monkeypatch.setattr(Path, "rename", real)
        seen.append(KeyStore(store.folder).check())
        return real(draft, target)

    monkeypatch.setattr(Path, "rename", late)
    store.new("main")
    assert seen == [0]
    store.load("main")


# Two at once


def test_of_threads_that_make_one_key_one_wins(store: KeyStore) -> None:
    start, outcomes = threading.Barrier(4), []

    def make() -> None:
        start.wait()
        try:
            outcomes.append(store.new("main").id)
        except KeyRefusedError as error:
            outcomes.append(error)

    threads = [threading.Thread(target=make) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    won = [outcome for outcome in outcomes if isinstance(outcome, str)]
    assert won == [store.load("main").id]
    assert [e.name for e in store.folder.iterdir()] == ["main"]


def test_of_processes_that_make_one_key_one_wins(store: KeyStore) -> None:
    code = "import sys; from pathlib import Path; from seglock.keys import KeyStore\n"
    code += "KeyStore(Path(sys.argv[1])).new('main')"
    running = [
        subprocess.Popen([sys.executable, "-c", code, str(store.folder)], stderr=subprocess.PIPE)
        for _ in range(3)
    ]
    errors = [process.communicate()[1].decode() for process in running]
    assert sorted(process.returncode for process in running) == [0, 1, 1]
    assert sum("must not exist yet" in error for error in errors) == 2
    store.load("main")


def test_a_key_that_appears_at_the_last_moment_is_kept(store: KeyStore, monkeypatch) -> None:
    other = KeyStore(store.folder)
    made = []
    real = Path.rename

    def late(draft: Path, target: Path) -> Path:
        monkeypatch.setattr(Path, "rename", real)
        made.append(other.new("main").id)
        return real(draft, target)

    monkeypatch.setattr(Path, "rename", late)
    with pytest.raises(KeyRefusedError, match="must not exist yet"):
        store.new("main")
    assert store.load("main").id == made[0]


def test_only_what_a_kill_can_leave_is_cleared(store: KeyStore) -> None:
    store.new("main")
    users = store.folder / ".settings.original"
    users.mkdir()
    for name in ("secret", "notes.txt"):
        (users / name).write_text("mine")
    assert store.check() == 0
    assert (users / "notes.txt").read_text() == "mine"
