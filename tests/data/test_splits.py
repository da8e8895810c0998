from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seglock.config import DataParams
from seglock.data.splits import choose_splits, hold_out, select_classes, selection_notes, used_lists
from seglock.errors import DataError

IDS = st.lists(st.text(min_size=1), min_size=2, max_size=40, unique=True)


@given(ids=IDS, seed=st.integers(), data=st.data())
def test_hold_out_is_a_partition_in_the_old_order(ids, seed, data) -> None:
    count = data.draw(st.integers(1, len(ids) - 1))
    kept, held = hold_out(ids, count, seed)
    assert len(held) == count
    assert sorted(kept + held) == sorted(ids)
    assert kept == [i for i in ids if i in kept]
    assert held == [i for i in ids if i in held]
    assert set(hold_out(ids[::-1], count, seed)[1]) == set(held)


# From `printf 0:2007_000000 | sha256sum` and so on: changing them changes everyone's splits.
FROZEN_SEED_0 = ["2007_000007", "2007_000010", "2007_000012", "2007_000025"]
FROZEN_SEED_1 = ["2007_000014", "2007_000036", "2007_000041", "2007_000057"]


def test_hold_out_is_frozen() -> None:
    ids = [f"2007_{i:06d}" for i in range(1464)]
    kept, held = hold_out(ids, 146, seed=0)
    assert (len(kept), len(held)) == (1318, 146)
    assert held[:4] == FROZEN_SEED_0
    assert hold_out(ids, 146, seed=1)[1][:4] == FROZEN_SEED_1


@pytest.mark.parametrize("count", [3, 4])
def test_hold_out_must_leave_training_images(count: int) -> None:
    with pytest.raises(DataError, match=f"got {count} of 3 images; use 1 to 2"):
        hold_out(["a", "b", "c"], count, seed=0)


def test_used_lists() -> None:
    params = DataParams(train_split="t", val_split=3, test_split="v")
    assert used_lists(params) == ["t", "v"]
    assert used_lists(params.model_copy(update={"val_split": "w"})) == ["t", "w", "v"]


def test_named_validation_list(voc, params) -> None:
    voc.fill({"test": ["c1"]})
    named = params.model_copy(update={"val_split": "val", "test_split": "test"})
    splits = choose_splits(named, voc.root)
    assert {name: [m.id for m in members] for name, members in splits.items()} == {
        "train": ["a1", "a2", "a3", "a4"],
        "val": ["b1", "b2"],
        "test": ["c1"],
    }


def test_extra_images_join_training_only_once(voc, new_voc, params) -> None:
    kept = [m.id for m in choose_splits(params, voc.root)["train"]]
    new_voc("voc/extra").fill({"train": [kept[0], "x1", "x2"]})
    more = params.model_copy(update={"extra_source": "anything"})
    train = choose_splits(more, voc.root)["train"]
    assert [m.id for m in train] == [*kept, "x1", "x2"]
    assert [m.folder.root.name for m in train] == ["voc"] * 3 + ["extra"] * 2


@pytest.mark.parametrize("split", ["val", "test"])
def test_extra_images_of_other_splits_are_refused(voc, new_voc, params, split: str) -> None:
    leaked = choose_splits(params, voc.root)[split][0].id
    new_voc("voc/extra").fill({"train": ["x1", leaked]})
    more = params.model_copy(update={"extra_source": "anything"})
    with pytest.raises(DataError, match=f"got 1 of them: {leaked}; remove"):
        choose_splits(more, voc.root)


def test_select_classes() -> None:
    names = ("background", "cat", "dog", "sheep")
    kept, table = select_classes(names, ["sheep", "cat"])
    assert kept == ("background", "cat", "sheep")
    assert list(table[:4]) == [0, 1, 255, 2]
    assert set(table[4:]) == {255}
    assert select_classes(names, None) == (names, bytes(range(4)) + b"\xff" * 252)


def test_first_class_is_kept_only_when_it_is_background() -> None:
    kept, table = select_classes(("Sky", "Car", "Tree"), ["Car", "Tree"])
    assert kept == ("Car", "Tree")
    assert list(table[:3]) == [255, 0, 1]


def test_select_classes_by_the_names_people_use() -> None:
    names = ("_background_", "Caf\u00e9", "dog")
    for wanted in (["cafe\u0301"], ["background", "CAF\u00c9"]):
        assert select_classes(names, wanted)[0] == ("_background_", "Caf\u00e9")
    with pytest.raises(DataError, match="got 'DOG'"):
        select_classes(("background", "dog", "Dog"), ["DOG"])


def test_what_became_of_the_background_is_noted() -> None:
    assert selection_notes(("background", "cat", "dog"), ("background", "dog")) == []
    (note,) = selection_notes(("bg", "cat", "dog"), ("bg", "dog"))
    assert note == "class 0, bg, is kept as the background"
    assert selection_notes(("Sky", "Road"), ("Sky", "Road")) == []
    (note,) = selection_notes(("void", "cat"), ("void", "cat"))
    assert note.startswith("void is trained as a class")
    (note,) = selection_notes(("cat", "dog", "Background"), ("cat", "dog"))
    assert note.startswith("Background is not in data.classes")


def test_select_classes_names_the_nearest() -> None:
    with pytest.raises(DataError, match=r"got 'shep', 'zzz'; did you mean 'sheep'\?; use one of"):
        select_classes(("background", "cat", "sheep"), ["shep", "cat", "zzz"])
    with pytest.raises(DataError, match="at least two classes, got Car"):
        select_classes(("Sky", "Car"), ["Car"])
