"""What others may have made is opened in one way: plain, bounded, and within its folder."""

from __future__ import annotations

import json
import os
import tempfile
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seglock import files, foreign
from seglock.config import check_params, load_params
from seglock.errors import ConfigError, DataError, SeglockError, printable
from seglock.foreign import bounded, parse_json, read_plain

SECRET = "a-secret-of-the-user"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with one file, beside a secret that is none of its business."""
    (tmp_path / "secret.json").write_text(f'"{SECRET}"')
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "a.json").write_text("[1]")
    return tmp_path / "here"


def test_a_small_file_takes_little_memory(folder: Path) -> None:
    tracemalloc.start()
    try:
        assert read_plain(folder / "a.json") == b"[1]"
        assert tracemalloc.get_traced_memory()[1] < 4 << 20  # of the 64 MiB that it may have
    finally:
        tracemalloc.stop()


def test_a_link_is_followed_inside_its_folder_and_into_dvcs_cache_only(folder: Path) -> None:
    cached = folder.parent / "cache" / "files" / "md5" / "0a" / "0123456789abcdef0123456789abcd"
    cached.parent.mkdir(parents=True)
    cached.write_text("[2]")
    for name, target in (("b", "a.json"), ("c", str(cached))):
        (folder / f"{name}.json").symlink_to(target)
    assert [files.read_json(folder / f"{name}.json") for name in "abc"] == [[1], [1], [2]]
    (folder / "d.json").symlink_to("../secret.json")
    with pytest.raises(DataError, match="a link that leads elsewhere: put a copy") as caught:
        files.read_json(folder / "d.json", error=DataError)
    assert SECRET not in str(caught.value)


def test_a_linked_folder_on_the_way_is_the_users_own_affair(folder: Path) -> None:
    (folder.parent / "there").symlink_to(folder)
    assert files.read_json(folder.parent / "there" / "a.json") == [1]
    with pytest.raises(OSError, match="leads elsewhere"):
        read_plain(folder.parent / "there" / "a.json", within=folder.parent / "other")


def test_what_is_no_plain_file_is_refused_without_waiting(folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    (folder / "loop").symlink_to("loop")
    for name in ("pipe", "loop", "."):
        with pytest.raises(SeglockError, match="must be readable JSON"):
            files.read_json(folder / name)
    with pytest.raises(OSError, match="no plain file"):
        read_plain(Path("/dev/zero"))


def test_what_is_own_is_no_link_and_of_no_other_user(folder: Path, monkeypatch) -> None:
    (folder / "b.json").symlink_to("a.json")
    with pytest.raises(OSError, match="a link, not the file itself"):
        read_plain(folder / "b.json", own=True)
    assert read_plain(folder / "a.json", own=True) == b"[1]"
    monkeypatch.setattr(foreign, "is_own", lambda about: False)
    with pytest.raises(OSError, match="a file of another user"):
        read_plain(folder / "a.json", own=True)


def test_a_file_is_read_up_to_a_bound(folder: Path) -> None:
    assert read_plain(folder / "a.json", most=3) == b"[1]"
    with pytest.raises(OSError, match="more than 2 bytes"):
        read_plain(folder / "a.json", most=2)


DEEP = 100_000
BOMB = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 10)}]\n"
    for before, name in zip("abcdefghi", "bcdefghij", strict=True)
)
HOSTILE_JSON = [
    "[" * DEEP, '{"a":' * DEEP, "[" * 70 + "]" * 70, "9" * 5000, "1e999", "NaN", "-Infinity",
    "\ufeff{}", "{", "",
]  # fmt: skip
HOSTILE_YAML = [
    "[" * DEEP, "{a: " * DEEP, "- " * 2000, "a: &a [*a]", "? " * 2000, "2024-13-45", "!!int ''",
    BOMB + "locks: {x: {steps: *j}}", "!!bool x", "!!binary x", "9" * 5000, "{[a]: b}", "\x00",
    "a: " + "x" * (2 << 20),
]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE_JSON, ids=lambda text: text[:8])
def test_hostile_json_is_one_message(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(DataError, match=r"a\.json must be readable JSON") as caught:
        files.read_json(tmp_path / "a.json", error=DataError)
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize("text", HOSTILE_YAML, ids=lambda text: text[:8])
def test_hostile_yaml_is_one_message(tmp_path: Path, text: str) -> None:
    (tmp_path / "params.yaml").write_text(text)
    with pytest.raises(ConfigError, match=r"params\.yaml "):
        load_params(tmp_path / "params.yaml")


def test_params_may_be_a_link_in_the_project_but_show_nothing_from_outside(folder: Path) -> None:
    (folder / "token").write_text(SECRET)
    (folder / "params.yaml").symlink_to("token")
    with pytest.raises(ConfigError, match=f"got '{SECRET}'"):
        load_params(folder / "params.yaml")
    (folder.parent / "token").write_text(SECRET)
    (folder / "other.yaml").symlink_to("../token")
    with pytest.raises(ConfigError, match="leads elsewhere") as caught:
        load_params(folder / "other.yaml")
    assert SECRET not in str(caught.value)


plain = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
values = st.recursive(
    plain, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20
)


@given(values.filter(lambda value: value != float("inf") and "Infinity" not in json.dumps(value)))
def test_sound_json_is_read_as_json_reads_it(value: object) -> None:
    assert parse_json(json.dumps(value)) == json.loads(json.dumps(value))
    assert bounded(value) == value


@given(st.text(alphabet='[]{}:",0123456789eE.-+ NaInfitytrue\\u', max_size=40))
def test_any_json_text_is_a_value_or_a_value_error(text: str) -> None:
    try:
        parse_json(text)
    except ValueError:
        return


YAML_PIECES = st.sampled_from(
    [*"{}[]:,-?&*!|>'\"%@`# \n~.", "!!int ", "!!float ", "!!bool ", "!!timestamp ", "!!set ",
     "!!omap ", "!!binary ", "!!python/object:x ", "&a ", "*a ", "<<: ", "- ", "? ", "2024-13-45",
     "0x", "9" * 4400, ".inf", "1e999", "locks", "steps", "data", "\x00", "---\n"]
)  # fmt: skip


@settings(max_examples=200)
@given(st.lists(YAML_PIECES, max_size=12).map("".join))
def test_any_params_text_is_params_or_one_message(text: str) -> None:
    with tempfile.TemporaryDirectory() as place:
        path = Path(place, "params.yaml")
        path.write_text(text)
        with pytest.raises(ConfigError):  # never the whole of params
            load_params(path)


@settings(max_examples=50)
@given(values)
def test_any_value_in_params_is_one_message(value: object) -> None:
    for part in ("locks", "data", "train", "search"):
        with pytest.raises(ConfigError):
            check_params({"locks": {}, part: value})


@given(st.text())
def test_what_is_shown_cannot_command_a_terminal(text: str) -> None:
    shown = str(SeglockError("a rule", got=text, fix=text))
    assert all(letter.isprintable() or letter in "\n\t" for letter in shown)
    assert printable("naïve 猫 \x1b[31m") == "naïve 猫 \\x1b[31m"


def test_what_is_shown_has_an_end() -> None:
    assert len(str(DataError("a rule", got="x" * 10_000_000))) < 5000
