from __future__ import annotations

import numpy as np

from seglock.data.remarks import Remarks, class_notes, class_problems, count_labels
from seglock.data.synthetic import voc_palette

NAMES = ("background", "cat", "dog")


def _counts(*labels: int) -> np.ndarray:
    return count_labels(np.array([labels], dtype=np.uint8))


def test_counts_each_label() -> None:
    counts = _counts(0, 0, 255, 7)
    assert counts.shape == (256,)
    assert {label: counts[label] for label in np.flatnonzero(counts)} == {0: 2, 7: 1, 255: 1}


def test_a_split_needs_two_classes() -> None:
    pixels = {"train": _counts(0, 2, 255), "val": _counts(0, 255, 255), "test": _counts(255)}
    val, test = class_problems(pixels, NAMES)
    assert str(val).startswith("val: only background occurs beside 2 pixels of void (255)")
    assert str(test).startswith("test: no class occurs beside 1 pixels of void (255); an object")
    # A label that is no class is a problem of its own and makes no second class.
    assert len(class_problems({"val": _counts(1, 9)}, NAMES)) == 1


def test_absent_classes_are_told_by_split() -> None:
    pixels = {"train": _counts(0, 1, 2), "val": _counts(0, 2, 255)}
    assert class_notes(pixels, NAMES) == ["val: no pixel of cat"]


def test_masks_that_are_void_everywhere_are_named() -> None:
    remarks = Remarks()
    for number, labels in enumerate([(0, 1), (255, 255), (2, 255), (255,)]):
        remarks.add_mask("train", f"m{number}", _counts(*labels), None)
    assert remarks.notes() == ["masks that are void everywhere (2): m1, m3"]


def test_palettes_that_disagree_are_named() -> None:
    palette = voc_palette()
    other = [*palette[:3], 1, 2, 3, *palette[6:]]
    remarks = Remarks()
    remarks.add_mask("train", "first", _counts(0, 1, 2), palette)
    remarks.add_mask("train", "same", _counts(0, 2, 255), palette)
    remarks.add_mask("train", "grey", _counts(0, 1), None)
    remarks.add_mask("train", "other", _counts(0, 1), other)
    remarks.add_mask("train", "unused", _counts(0), other)
    (note,) = remarks.notes()
    assert note.endswith("are their labels class indices? (1): other")
    assert remarks.problems == []


def test_one_colour_at_two_labels_is_a_problem() -> None:
    palette = voc_palette()
    turned = [*palette[:3], *palette[6:9], *palette[3:6], *palette[9:]]
    remarks = Remarks()
    remarks.add_mask("train", "first", _counts(0, 1, 2), palette)
    remarks.add_mask("train", "turned", _counts(0, 1), turned)
    (problem,) = remarks.problems
    assert str(problem).startswith("turned: colour (0, 128, 0) is label 1 here and 2 in masks")


def test_what_fills_up_a_palette_is_no_colour_of_a_class() -> None:
    remarks = Remarks()
    remarks.add_mask("train", "first", _counts(0, 1), [0, 0, 0, 9, 9, 9, *[0] * 750])
    remarks.add_mask("train", "second", _counts(1, 2), [5, 5, 5, 9, 9, 9, *[0] * 750])
    assert remarks.problems == []
    assert remarks.notes() == []
