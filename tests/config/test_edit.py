"""A lock written into params.yaml: the rest of the file keeps every byte, or nothing changes."""

from __future__ import annotations

from pathlib import Path

import pytest

from seglock.config import (
    AddedLock,
    add_lock,
    load_params,
    load_profile,
    merge_profile,
    set_lock_key,
)
from seglock.errors import ConfigError, StorageError

ROOT = Path(__file__).parents[2]
PROFILES = sorted((ROOT / "profiles").glob("*.yaml"))
PLAIN = "locks:\n  baseline: {steps: []}\n  np-4: {steps: [np-4]}  # mine\n"


def written(folder: Path, text: str) -> Path:
    path = folder / "params.yaml"
    path.write_bytes(text.encode())
    return path


@pytest.mark.parametrize("profile", PROFILES, ids=lambda path: path.stem)
def test_a_profile_in_use_gets_one_line_and_keeps_all_others(tmp_path: Path, profile: Path) -> None:
    before = merge_profile(profile)
    path = written(tmp_path, before)
    steps = ["np-2", "shf-2"]
    assert add_lock(path, "np-2_shf-2", steps) == AddedLock("np-2_shf-2", added=True)
    assert load_params(path).locks["np-2_shf-2"].steps == steps
    old, new = before.splitlines(keepends=True), path.read_text().splitlines(keepends=True)
    added = "  np-2_shf-2: {steps: [np-2, shf-2]}\n"
    index = new.index(added)
    assert new[:index] + new[index + 1 :] == old
    assert new[index - 1].startswith(f"  {list(load_profile(profile).locks)[-1]}: ")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (PLAIN, PLAIN + "  x: {steps: [shf-4]}\n"),
        (PLAIN.rstrip("\n"), PLAIN + "  x: {steps: [shf-4]}\n"),
        (PLAIN.replace("\n", "\r\n"), (PLAIN + "  x: {steps: [shf-4]}\n").replace("\n", "\r\n")),
        (
            PLAIN + "  # more to come\n\nkeys: {}\n",
            PLAIN + "  x: {steps: [shf-4]}\n  # more to come\n\nkeys: {}\n",
        ),
        (
            'locks: {baseline: {steps: []}, "a": {steps: [np-4]}} # é\nkeys: {}\n',
            'locks: {baseline: {steps: []}, "a": {steps: [np-4]}, x: {steps: [shf-4]}} # é\n'
            "keys: {}\n",
        ),
        (
            "locks:\n    baseline:\n        steps: []\n    a:\n        steps:\n"
            "        - np-4 # é\n\n# end\nkeys: {}\n",
            "locks:\n    baseline:\n        steps: []\n    a:\n        steps:\n"
            "        - np-4 # é\n    x: {steps: [shf-4]}\n\n# end\nkeys: {}\n",
        ),
        (
            "locks:\n  baseline: {steps: []}\n  a: {\n    steps: [np-4],\n  }\n",
            "locks:\n  baseline: {steps: []}\n  a: {\n    steps: [np-4],\n  }\n"
            "  x: {steps: [shf-4]}\n",
        ),
        (
            "locks:\n  baseline: {steps: []}\n  a:\n    steps:\n    - np-4\n    # its other step:\n"
            "\n    # - shf-4\n  # more to come\n\nkeys: {}\n",
            "locks:\n  baseline: {steps: []}\n  a:\n    steps:\n    - np-4\n    # its other step:\n"
            "\n    # - shf-4\n  x: {steps: [shf-4]}\n  # more to come\n\nkeys: {}\n",
        ),
        (
            PLAIN.replace("mine", "mine\r\n                            # alone") + "keys: {}\r\n",
            PLAIN.replace("mine", "mine\r\n                            # alone")
            + "  x: {steps: [shf-4]}\r\nkeys: {}\r\n",
        ),
        (PLAIN + "    # the last line", PLAIN + "    # the last line\n  x: {steps: [shf-4]}\n"),
    ],
    ids=[
        "block",
        "no-newline",
        "crlf",
        "comment",
        "flow",
        "nested",
        "wrapped",
        "inner-comments",
        "long-comment",
        "comment-without-newline",
    ],
)
def test_each_way_to_write_locks(tmp_path: Path, before: str, after: str) -> None:
    path = written(tmp_path, before)
    assert add_lock(path, "x", ["shf-4"]).added
    assert path.read_bytes().decode() == after


def test_options_are_written_where_they_differ_from_the_default(tmp_path: Path) -> None:
    path = written(tmp_path, PLAIN)
    add_lock(path, "x", ["ffx-4"], key="second", ffx_password="fixed")
    lock = load_params(path).locks["x"]
    assert (lock.key, lock.ffx_password) == ("second", "fixed")
    assert path.read_text().endswith("x: {steps: [ffx-4], key: second, ffx_password: fixed}\n")


def test_a_refusal_is_part_of_a_lock(tmp_path: Path) -> None:
    path = written(tmp_path, PLAIN)
    assert add_lock(path, "a", ["np-4"], refuse=0.1) == AddedLock("a", added=True)
    assert path.read_text() == PLAIN + "  a: {steps: [np-4], refuse: 0.1}\n"
    assert add_lock(path, "b", ["np-4"], refuse=0.1) == AddedLock("a", added=False)
    assert add_lock(path, "b", ["np-4"], refuse=0.25).added
    in_parts = "  c: {steps: [shf-4], refuse: {weight: 0.1}}\n"
    path.write_text(PLAIN + in_parts)
    assert add_lock(path, "d", ["shf-4"], refuse=0.1) == AddedLock("c", added=False)


def test_a_name_that_reads_as_a_number_is_quoted(tmp_path: Path) -> None:
    path = written(tmp_path, PLAIN)
    add_lock(path, "12", ["shf-4"])
    assert load_params(path).locks["12"].steps == ["shf-4"]


@pytest.mark.parametrize(
    ("name", "steps", "known"),
    [("np-4", ["np-4"], "np-4"), ("other", ["np-4"], "np-4"), ("half", ["np-4-f50"], "np-4")],
)
def test_a_lock_that_is_there_is_not_added_again(
    tmp_path: Path, name: str, steps: list[str], known: str
) -> None:
    path = written(tmp_path, PLAIN)
    assert add_lock(path, name, steps) == AddedLock(known, added=False)
    assert path.read_text() == PLAIN


def test_another_key_or_password_makes_another_lock(tmp_path: Path) -> None:
    path = written(tmp_path, PLAIN + "  ffx-4: {steps: [ffx-4]}\n")
    assert add_lock(path, "x", ["np-4"], key="second").added
    assert add_lock(path, "y", ["ffx-4"], ffx_password="fixed").added
    assert add_lock(path, "z", ["ffx-4"], ffx_password="fixed") == AddedLock("y", added=False)


@pytest.mark.parametrize(
    ("name", "steps", "expected"),
    [
        ("np-4", ["shf-4"], "the name of a new lock must be free in params.yaml, got np-4: np-4"),
        ("baseline", ["shf-4"], "locks.baseline: the lock named baseline has no steps"),
        ("x", ["shf-3"], "locks.x: block_size must divide the image side"),
        ("x", ["np-4-f100"], "locks.x: a lock must have more than one plan"),
        ("X", ["shf-4"], "a lock's name must be lower-case"),
        ("x", [], "every other has some"),
    ],
)
def test_a_lock_that_cannot_be_added_changes_nothing(
    tmp_path: Path, name: str, steps: list[str], expected: str
) -> None:
    path = written(tmp_path, PLAIN)
    with pytest.raises(ConfigError) as caught:
        add_lock(path, name, steps)
    assert expected in str(caught.value)
    assert path.read_text() == PLAIN


def test_a_form_that_cannot_be_extended_shows_the_line_to_add(tmp_path: Path) -> None:
    steps_elsewhere = "data:\n  classes: &s [np-4]\nlocks:\n  baseline: {steps: []}\n"
    path = written(tmp_path, steps_elsewhere + "  np-4:\n    steps: *s\n")
    before = path.read_text()
    with pytest.raises(ConfigError, match=r"add it there yourself: x: \{steps: \[shf-4\]\}"):
        add_lock(path, "x", ["shf-4"])
    assert path.read_text() == before


def test_a_faulty_file_is_reported_not_edited(tmp_path: Path) -> None:
    path = written(tmp_path, PLAIN + "train: {epochs: 0}\n")
    before = path.read_text()
    with pytest.raises(ConfigError, match=r"train\.epochs"):
        add_lock(path, "x", ["shf-4"])
    assert path.read_text() == before


def test_mode_and_link_stay(tmp_path: Path) -> None:
    real = written(tmp_path, PLAIN)
    real.chmod(0o640)
    link = tmp_path / "link.yaml"
    link.symlink_to(real)
    assert add_lock(link, "x", ["shf-4"]).added
    assert link.is_symlink()
    assert real.stat().st_mode & 0o777 == 0o640
    assert "x: {steps: [shf-4]}" in real.read_text()


def test_a_refused_write_leaves_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path, PLAIN)

    def full(*args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(StorageError, match="no space left"):
        add_lock(path, "x", ["shf-4"])
    assert path.read_text() == PLAIN
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("  np-4: {steps: [np-4]}  # ours\n", "  np-4: {steps: [np-4], key: other}  # ours\n"),
        ("  np-4: {steps: [np-4], key: main}\n", "  np-4: {steps: [np-4], key: other}\n"),
        (
            "  np-4:\n    steps: [np-4]\n    key: main  # ours\n",
            "  np-4:\n    steps: [np-4]\n    key: other  # ours\n",
        ),
    ],
)
def test_a_lock_gets_another_key_and_nothing_else_changes(
    tmp_path: Path, before: str, after: str
) -> None:
    path, head = tmp_path / "params.yaml", "locks:\n  baseline: {steps: []}\n"
    path.write_text(f"{head}{before}# the end\n")
    set_lock_key(path, "np-4", "other")
    assert path.read_text() == f"{head}{after}# the end\n"
    with pytest.raises(ConfigError, match="must have the lock"):
        set_lock_key(path, "np-8", "other")
