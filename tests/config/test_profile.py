"""Profiles: what differs from a base, merged into a whole params.yaml with the comments of both."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from ruamel.yaml import YAML

from seglock.config import (
    Params,
    check_params,
    load_params,
    load_profile,
    merge_profile,
    merge_values,
)
from seglock.errors import ConfigError

ROOT = Path(__file__).parents[2]
PROFILES = sorted((ROOT / "profiles").glob("*.yaml"))
BASE = """# Base: small
# How to change it.
train:
  epochs: 12          # how often
  lr: 0.2
  crop_scale: [0.5, 1.0]
  seed: 0             # where chance begins

# What is locked.
locks:
  baseline: {steps: []}
  np-4: {steps: [np-4]}   # mine

data:
  image_side: 64
  synthetic: {train: 576, test: 128}   # images

evaluate: {wrong_keys: 20}
"""

each = pytest.mark.parametrize("path", PROFILES, ids=lambda path: path.stem)


def read(text: str) -> Any:
    return YAML(typ="safe", pure=True).load(text)


def merged(folder: Path, overlay: str, base: str = BASE) -> str:
    for name, text in (("synthetic", base), ("mine", overlay)):
        (folder / f"{name}.yaml").write_bytes(text.encode())
    return merge_profile(folder / "mine.yaml")


def values_in(values: Any, place: tuple[str, ...] = ()) -> dict[tuple[str, ...], Any]:
    if not isinstance(values, dict) or place == ("locks",):
        return {place: values}
    return {k: v for n, part in values.items() for k, v in values_in(part, (*place, n)).items()}


@each
def test_a_shipped_profile_merges_into_a_valid_whole(path: Path, tmp_path: Path) -> None:
    text = merge_profile(path)
    (tmp_path / "params.yaml").write_text(text)
    assert load_params(tmp_path / "params.yaml") == load_profile(path)
    assert text.startswith(path.read_text().split("\n", 1)[0])
    assert "base" not in read(text)
    assert set(values_in(read(text))) == set(values_in(read((ROOT / "params.yaml").read_text())))


@each
def test_a_shipped_profile_says_only_what_differs_or_deserves_a_comment(path: Path) -> None:
    values = read(path.read_text())
    if path.stem == "synthetic":
        return
    base = load_profile(path.with_name(f"{values.pop('base', 'synthetic')}.yaml"))
    known = values_in(base.model_dump(mode="json"))
    for place, value in values_in(values).items():
        if value == known[place]:
            assert re.search(rf"^ *{place[-1]}: .* # .", path.read_text(), re.MULTILINE), place


def test_the_checked_in_params_are_the_default_profile() -> None:
    assert (ROOT / "params.yaml").read_text() == merge_profile(ROOT / "profiles" / "synthetic.yaml")


def test_the_default_profile_names_every_value() -> None:
    def names(model: BaseModel, place: tuple[str, ...] = ()) -> set[tuple[str, ...]]:
        found: set[tuple[str, ...]] = set()
        for name, value in model:
            at = (*place, name)
            found |= names(value, at) if isinstance(value, BaseModel) else {at}
        return found

    written = values_in(read((ROOT / "params.yaml").read_text()))
    assert set(written) == names(Params(locks={"baseline": {"steps": []}}))


def test_values_and_comments_of_the_overlay_stand_in_the_base_s_text(tmp_path: Path) -> None:
    overlay = """# Mine: larger

# Long enough.
train:   # the recipe
  crop_scale: [0.25, 1.0]
  # as in the paper
  epochs: 100
  lr: 0.1   # low
data: {synthetic: {test: 64}}
locks:
    baseline:
        steps: []
    # two
    shf-4: {steps: [shf-4]}   # other
evaluate:
  wrong_keys: 100
"""
    assert (
        merged(tmp_path, overlay)
        == """# Mine: larger
# How to change it.
# Long enough.
train:   # the recipe
  # as in the paper
  epochs: 100         # how often
  lr: 0.1   # low
  crop_scale: [0.25, 1.0]
  seed: 0             # where chance begins

# What is locked.
locks:
    baseline:
        steps: []
    # two
    shf-4: {steps: [shf-4]}   # other

data:
  image_side: 64
  synthetic: {train: 576, test: 64}   # images

evaluate: {wrong_keys: 100}
"""
    )


def test_another_indentation_and_line_ending_change_nothing(tmp_path: Path) -> None:
    overlay = "# Mine\r\ntrain:\r\n    # more\r\n    epochs: 3\r\n    nesterov: true\r\n"
    text = merged(tmp_path, overlay)
    assert "  # more\n  epochs: 3           # how often\n" in text
    assert "  seed: 0             # where chance begins\n  nesterov: true\n" in text
    assert "\r" not in text


@pytest.mark.parametrize(
    "overlay", ["# Mine\n", "", "train: {}\n", "keys:\n  create_missing: true\n"]
)
def test_an_overlay_may_say_next_to_nothing(tmp_path: Path, overlay: str) -> None:
    whole = check_params(read(BASE))
    merged(tmp_path, overlay)
    assert load_profile(tmp_path / "mine.yaml") == whole


def test_a_complete_file_is_taken_as_it_is(tmp_path: Path) -> None:
    mine = re.sub("#.*", "", BASE).replace("epochs: 12", "epochs: 99").replace("\n", "\r\n")
    assert merged(tmp_path, mine) == mine
    (tmp_path / "synthetic.yaml").unlink()
    assert merge_profile(tmp_path / "mine.yaml") == mine


def test_a_profile_may_be_built_on_another(tmp_path: Path) -> None:
    (tmp_path / "large.yaml").write_text("# Large\ntrain:\n  epochs: 99   # long\n  seed: 7\n")
    text = merged(tmp_path, "# Mine\nbase: large\ntrain:\n  seed: 8\n")
    assert text.startswith("# Mine\n# How to change it.\ntrain:\n  epochs: 99   # long\n")
    assert "  seed: 8             # where chance begins\n" in text
    assert "Large" not in text


@pytest.mark.parametrize("base", ["larg", "mine", "other", "../mine", "3", "[large]"])
def test_a_base_that_is_none_is_refused(tmp_path: Path, base: str) -> None:
    (tmp_path / "large.yaml").write_text("train: {epochs: 99}\n")
    (tmp_path / "other.yaml").write_text("base: mine\n")
    with pytest.raises(ConfigError, match=r"\.yaml: base must name another profile, and not one"):
        merged(tmp_path, f"base: {base}\n")


def test_faults_of_the_merged_values_are_told_with_the_profile_s_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        merged(tmp_path, "train: {epoch: 3, lr: -1}\nlocks: {np-4: {steps: [np-4]}}\n")
    message = str(caught.value)
    assert message.startswith(f"{tmp_path / 'mine.yaml'} has 3 faults:")
    for part in ("did you mean 'epochs'?", "train.lr: must be greater than 0", "contain baseline"):
        assert part in message


@pytest.mark.parametrize("overlay", ["- 1\n", "train: 3\n", "x\n"])
def test_what_is_no_section_is_a_fault(tmp_path: Path, overlay: str) -> None:
    with pytest.raises(ConfigError, match=r"mine\.yaml has"):
        merged(tmp_path, overlay)


@pytest.mark.parametrize(
    "overlay",
    [
        "train: {epochs: &n 7}\nevaluate: {wrong_keys: *n}\n",
        "? train\n: {epochs: 3}\n",
        "data: &d {image_side: 128}\n",
    ],
)
def test_what_would_not_be_merged_as_it_reads_is_refused(tmp_path: Path, overlay: str) -> None:
    with contextlib.suppress(ConfigError):
        assert read(merged(tmp_path, overlay)) == merge_values(read(BASE), read(overlay))
    (tmp_path / "over.yaml").write_text("base: mine\ntrain: {seed: 3}\n")
    with contextlib.suppress(ConfigError):
        assert load_profile(tmp_path / "over.yaml").train.seed == 3


def test_lists_and_locks_are_replaced_and_sections_merged() -> None:
    base = {"locks": {"a": 1, "b": 2}, "search": {"space": {"steps": ["np"], "lr": None}}}
    overlay = {"locks": {"a": 3}, "search": {"space": {"steps": ["shf"]}}}
    assert merge_values(base, overlay) == {
        "locks": {"a": 3},
        "search": {"space": {"steps": ["shf"], "lr": None}},
    }
