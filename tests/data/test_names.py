from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seglock.data.names import file_id, find_class, is_background, is_id, read_id

# What a file may be called on any system, without the suffixes that an image may have.
NAMES = st.text(
    st.characters(categories=["L", "N", "M"], include_characters="-_.+()"), min_size=1, max_size=20
).filter(lambda name: not name.startswith(".") and is_id(unicodedata.normalize("NFC", name)))


@given(
    name=NAMES,
    pattern=st.sampled_from(
        ["{}.jpg", " {}.PNG\t", "JPEGImages/{}.jpg", "/JPEGImages/{}.bmp", "./JPEGImages/{}.jpg",
         "JPEGImages\\{}.jpeg", "JPEGImages/{}.jpg SegmentationClass/{}.png", "{}.jpg {}.png",
         "/JPEGImages/{}.jpg /SegmentationClass/{}.png"]
    ),
    form=st.sampled_from(["NFC", "NFD"]),
)  # fmt: skip
def test_lines_that_mean_one_id(name: str, pattern: str, form: str) -> None:
    line = unicodedata.normalize(form, pattern.replace("{}", name))
    assert read_id(line) == file_id(f"{name}.jpg") == unicodedata.normalize("NFC", name)


@pytest.mark.parametrize(
    "line",
    ["a 1", "a -1", "two words", "a.jpg b.png", "../a.jpg", "/data/voc/JPEGImages/a.jpg", "a/b",
     "JPEGImages/a.jpg SegmentationClassAug/a.png", "a.jpg a.png a.txt", "# a", "a\x1bb", ".."],
)  # fmt: skip
def test_lines_that_mean_none_for_certain_are_no_ids(line: str) -> None:
    assert read_id(line) == line
    assert not is_id(line)


@pytest.mark.parametrize("line", ["im.001", "2007_000032", "a_jpg.rf.0af3", "a,b", "-a"])
def test_ids_stay_as_they_are(line: str) -> None:
    assert read_id(line) == line
    assert is_id(line)


@pytest.mark.parametrize(
    "name", ["background", "Background", "_background_", "__background__", "bg", "BG", "unlabeled",
             "Unlabelled", "__bg__"],
)  # fmt: skip
def test_names_of_the_background(name: str) -> None:
    assert is_background(name)
    assert find_class("background", [name, "cat"]) == name


@pytest.mark.parametrize("name", ["void", "ignore", "other", "cat", "", "_", "ground"])
def test_names_that_are_not_the_background(name: str) -> None:
    assert not is_background(name)


def test_a_class_is_found_exactly_or_else_if_there_is_one_only() -> None:
    names = ["Cat", "cat", "Dog", "caf\u00e9"]
    assert find_class("cat", names) == "cat"
    assert find_class("DOG", names) == "Dog"
    assert find_class("cafe\u0301", names) == "caf\u00e9"
    assert find_class("CAT", names) is None
    assert find_class("do", names) is None
    assert find_class("background", names) is None
