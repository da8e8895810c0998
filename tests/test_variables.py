"""$VARIABLES and ~ of params.yaml: what they stand for, what they must not name, what is told."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seglock.errors import ConfigError, DataError, KeyRefusedError
from seglock.variables import as_written, expand, showing, variables

SECRET = "correct horse/battery@staple"


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLACE", "/data")
    monkeypatch.setenv("SECRET", SECRET)
    monkeypatch.setenv("NESTED", "$SECRET")
    monkeypatch.setenv("EMPTY", "")
    monkeypatch.setenv("SEGLOCK_KEY_MAIN", "5f" * 32)


@pytest.mark.parametrize(
    ("text", "stands_for"),
    [
        ("nothing to put in", "nothing to put in"),
        ("$PLACE/a", "/data/a"),
        ("${PLACE}a-$PLACE", "/dataa-/data"),
        ("a$", "a$"),
        ("a$/b", "a$/b"),
        ("$NESTED", "$SECRET"),  # what came in is not read again
        ("a~/b", "a~/b"),
        ("./~nobody", "./~nobody"),
    ],
)
def test_what_a_value_stands_for(text: str, stands_for: str) -> None:
    assert expand(text, "data.source") == stands_for


def test_home_folders(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ann")
    monkeypatch.setenv("OWN", "~/voc")
    assert expand("~/voc", "data.source") == expand("$OWN", "data.source") == "/home/ann/voc"
    with pytest.raises(DataError, match=r"data\.source must begin with the home .* ~nosuchuser/a"):
        expand("~nosuchuser/a", "data.source", error=DataError)


def test_a_default_stands_in_where_nothing_is_set() -> None:
    assert expand("$PLACE", "x", defaults={"PLACE": "/else"}) == "/data"
    assert expand("$ABSENT", "x", defaults={"ABSENT": "/else"}) == "/else"


@pytest.mark.parametrize("text", ["$ABSENT/a", "${ABSENT}", "$EMPTY/a", "${}", "${A B}", "${X:-y}"])
def test_what_is_not_set_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"in data\.source must be set, got .*"):
        expand(text, "data.source")


@pytest.mark.parametrize(
    "text",
    [
        "$SEGLOCK_KEY_MAIN",
        "${SEGLOCK_KEY_MAIN}",
        "https://host/$SEGLOCK_KEY_MAIN/x",
        "$PLACE/${SEGLOCK_KEY_MAIN}x",
        "$SEGLOCK_KEY_ABSENT",
        "$SEGLOCK_KEY_DIR",
        "${SEGLOCK_KEY_MAIN:-x}",
        "${ SEGLOCK_KEY_MAIN}",
        "${!SEGLOCK_KEY_MAIN}",
        "$seglock_key_main",
    ],
)
@pytest.mark.parametrize("quoted", [False, True])
def test_no_key_comes_in(text: str, quoted: bool) -> None:
    with pytest.raises(KeyRefusedError, match="no SEGLOCK_KEY_") as caught:
        expand(text, "data.source", error=DataError, quoted=quoted)
    assert "5f5f" not in str(caught.value)


@given(st.text(st.sampled_from("$SEGLOCK_KEYMAIN{}~/:-! \n"), max_size=40))
def test_no_spelling_gives_a_key(text: str) -> None:
    for attempt in (text, f"${text}", f"${{{text}SEGLOCK_KEY_MAIN{text}}}"):
        try:
            found = expand(attempt, "data.source")
        except (ConfigError, KeyRefusedError) as error:
            found = str(error)
        assert "5f5f" not in found


def test_the_names_of_a_value() -> None:
    assert set(variables("${A}$B-$A").values()) == {"A", "B"}


def test_what_is_told_is_what_was_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ann")
    text = "~/$PLACE/${SECRET}.tar"
    for form in (SECRET, "correct%20horse%2Fbattery%40staple"):
        told = as_written(f"no /home/ann/x/{form}", text)
        assert told == "no ~/x/${SECRET}"
    assert as_written("/data is data", text) == "/data is data", "too short to be a secret"
    assert as_written(SECRET, None) == as_written(SECRET, "$OTHER") == SECRET


def test_an_error_shows_what_was_written() -> None:
    with pytest.raises(DataError) as caught, showing("$SECRET/a"):
        try:
            raise FileNotFoundError(SECRET)
        except FileNotFoundError as error:
            raise DataError(
                f"{SECRET}/a must exist", got=Path(SECRET), fix=f"make {SECRET}"
            ) from error
    assert str(caught.value) == "$SECRET/a must exist, got $SECRET; make $SECRET"
    assert caught.value.__suppress_context__, "its cause has the value in its own words"
    with pytest.raises(DataError) as other, showing("$SECRET/a"):
        raise DataError("something else", got=3)
    assert other.value.got == 3
