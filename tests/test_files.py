"""Files appear whole or not at all, and one process at a time works on an output."""

from __future__ import annotations

import errno
import multiprocessing
import os
import signal
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from seglock import files
from seglock.errors import BusyError, DataError, StorageError


def test_a_failed_write_leaves_the_old_file_and_no_rest(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    files.write_json(path, {"a": 1})
    with pytest.raises(RuntimeError), files.replacing(path) as file:
        file.write(b"half")
        raise RuntimeError
    assert files.read_json(path) == {"a": 1}
    assert os.listdir(tmp_path) == ["a.json"]


def test_a_full_disk_is_one_message_and_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.txt"
    files.write_text(path, "old")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match="no space left on device"):
        files.write_text(path, "new")
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


def _write_beyond_a_limit(path: Path) -> None:
    import resource

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
    try:
        files.write_bytes(path, b"x" * 5000)
    except StorageError:
        os._exit(7)


def test_a_write_the_system_really_refuses(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    context = multiprocessing.get_context("spawn")
    process = context.Process(target=_write_beyond_a_limit, args=(path,))
    process.start()
    process.join()
    assert process.exitcode == 7
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a.bin"]


def test_a_folder_is_replaced_as_a_whole(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "stale").touch()
    with files.replacing_folder(folder) as new:
        (new / "fresh").touch()
        assert (folder / "stale").exists()
    assert os.listdir(folder) == ["fresh"]
    with pytest.raises(KeyboardInterrupt), files.replacing_folder(folder):
        raise KeyboardInterrupt
    assert os.listdir(folder) == ["fresh"]
    assert os.listdir(tmp_path) == ["out"]


def _die_within(folder: Path) -> None:
    with files.replacing_folder(folder) as new, files.replacing(folder.parent / "file") as file:
        (new / "half").touch()
        file.write(b"half")
        os.kill(os.getpid(), signal.SIGKILL)


def test_what_a_killed_process_left_is_cleared_by_the_next(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    process = multiprocessing.get_context("spawn").Process(target=_die_within, args=(folder,))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert len(os.listdir(tmp_path)) == 2
    with files.replacing_folder(folder) as new:
        (new / "whole").touch()
    files.write_text(tmp_path / "file", "whole")
    assert sorted(os.listdir(tmp_path)) == ["file", "out"]


def test_what_a_living_process_writes_is_left_alone(tmp_path: Path) -> None:
    with files.replacing_folder(tmp_path / "out") as first:
        (first / "mine").touch()
        with files.replacing_folder(tmp_path / "out") as second:
            (second / "other").touch()
        assert (first / "mine").exists()
    assert os.listdir(tmp_path / "out") == ["mine"]


@pytest.mark.parametrize("content", ["{", "\xff"])
def test_damaged_json_names_the_file(tmp_path: Path, content: str) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(content.encode("latin-1"))
    with pytest.raises(DataError, match=r"x\.json must be readable JSON.*run this"):
        files.read_json(path, error=DataError, fix="run this")


def _hold(folder: Path, ready: multiprocessing.Event, done: multiprocessing.Event) -> None:  # type: ignore[valid-type]
    with files.exclusive(folder, what="a lock"):
        ready.set()  # type: ignore[attr-defined]
        done.wait(60)  # type: ignore[attr-defined]


def test_a_second_process_is_told_at_once_and_a_killed_one_frees_the_folder(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    ready, done = context.Event(), context.Event()
    process = context.Process(target=_hold, args=(tmp_path, ready, done))
    process.start()
    assert ready.wait(60)
    with pytest.raises(BusyError, match="only one process at a time may work on shf-4"):
        files.exclusive(tmp_path, what="shf-4").__enter__()
    process.kill()
    process.join()
    with files.exclusive(tmp_path, what="shf-4"):
        pass


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture(params=[0o000, 0o022, 0o077, 0o277], ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


@pytest.mark.usefixtures("umask")
def test_what_is_private_is_so_under_any_umask(tmp_path: Path) -> None:
    path = tmp_path / "made" / "for it" / "a.json"
    files.write_json(path, {}, mode=files.PRIVATE)
    files.write_json(path, {}, mode=files.PRIVATE)  # and again, over what is there
    assert _mode(path) == 0o600
    assert _mode(path.parent) == _mode(path.parent.parent) == 0o700
    with files.replacing_folder(tmp_path / "hidden" / "out", mode=files.PRIVATE_FOLDER) as out:
        assert _mode(out) == 0o700  # before anything is in it
    assert _mode(tmp_path / "hidden" / "out") == _mode(tmp_path / "hidden") == 0o700


@pytest.mark.usefixtures("umask")
def test_a_folder_of_ours_is_closed_and_one_of_the_user_is_left(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    files.write_text(tmp_path / "a.txt", "text", mode=files.PRIVATE)
    assert _mode(tmp_path) == 0o755
    files.private_folder(tmp_path)
    assert _mode(tmp_path) == 0o700


def test_what_is_public_stays_readable(tmp_path: Path) -> None:
    files.write_json(tmp_path / "a" / "b.json", {})
    assert _mode(tmp_path / "a" / "b.json") == 0o644
    with files.replacing_folder(tmp_path / "out"):
        pass
    assert _mode(tmp_path / "out") == 0o755


def test_a_folder_that_cannot_be_closed_is_one_message(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="must be writable"):
        files.private_folder(tmp_path / "file" / "folder")


@pytest.mark.parametrize(
    ("content", "got"),
    [("[]", "list"), ('"x"', "str"), ("{}", "no run_id, no key"),
     ('{"run_id": 5}', "no key, run_id of type int"),
     ('{"run_id": 5, "key": 1}', "run_id of type int, key of type int")],
)  # fmt: skip
def test_an_object_has_its_fields_or_is_refused(tmp_path: Path, content: str, got: str) -> None:
    path = tmp_path / "x.json"
    path.write_text(content)
    fields = {"run_id": str, "key": str | None}
    with pytest.raises(DataError, match=rf"x\.json must .*got {got}; run this"):
        files.read_object(path, fields, error=DataError, fix="run this")
    path.write_text('{"run_id": "a", "key": null, "more": 1}')
    assert files.read_object(path, fields) == {"run_id": "a", "key": None, "more": 1}


def test_a_folder_that_is_a_link_is_replaced_and_what_it_leads_to_stays(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "kept").touch()
    (tmp_path / "out").symlink_to("mine")
    with files.replacing_folder(tmp_path / "out") as new:
        (new / "fresh").touch()
    assert sorted(os.listdir(tmp_path)) == ["mine", "out"]
    assert os.listdir(tmp_path / "mine") == ["kept"]


def test_a_link_is_no_folder_of_ours(tmp_path: Path) -> None:
    users = tmp_path / "users"
    users.mkdir(mode=0o755)
    (tmp_path / "ours").symlink_to(users)
    with pytest.raises(StorageError, match="ours must be a folder, got a link"):
        files.private_folder(tmp_path / "ours")
    assert _mode(users) == 0o755
