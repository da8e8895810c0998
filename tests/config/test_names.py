"""Names in params.yaml become folders, words of a shell and parts of a DVC path: all agree."""

from __future__ import annotations

import shlex
import string
from pathlib import Path
from typing import Any

import pytest
from dvc.parsing import DataResolver
from dvc.repo import Repo
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from seglock.config import check_params
from seglock.errors import ConfigError

ROOT = Path(__file__).parents[2]
STAGES = YAML(typ="safe", pure=True).load((ROOT / "dvc.yaml").read_text())
PER_LOCK = ["encrypt", "train", "evaluate", "attack"]


@pytest.fixture(scope="module")
def repo(tmp_path_factory: pytest.TempPathFactory) -> Repo:
    return Repo.init(str(tmp_path_factory.mktemp("repo")), no_scm=True)


def resolved(repo: Repo, stage: str, lock: str) -> dict[str, Any]:
    """What DVC makes of one stage of dvc.yaml for one lock."""
    file = Path(repo.root_dir) / "params.yaml"
    with file.open("w") as opened:
        YAML(typ="safe", pure=True).dump({"locks": {lock: {"steps": ["np-4"]}}}, opened)
    found: dict[str, Any] = DataResolver(repo, repo.root_dir, STAGES).resolve_one(f"{stage}@{lock}")
    return found[f"{stage}@{lock}"]


def lock_faults(name: str) -> str:
    locks = {"baseline": {"steps": []}, name: {"steps": ["np-4"]}}
    try:
        check_params({"locks": locks})
    except ConfigError as error:
        return str(error)
    return ""


quick = settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
first = st.sampled_from(string.ascii_lowercase + string.digits)
rest = st.text(string.ascii_lowercase + string.digits + "-_", max_size=62)


@quick
@given(st.builds(str.__add__, first, rest))
@example("key")
@example("item")
@example("1e3")
@example("true")
@example("null")
@example("x" * 63)
def test_a_locks_name_is_one_word_one_folder_and_one_part_of_a_path(repo: Repo, name: str) -> None:
    assert lock_faults(name) == ""
    for stage in PER_LOCK:
        found = resolved(repo, stage, name)
        *command, option, word = shlex.split(found["cmd"])
        assert (command[0], option, word) == ("seglock", "--lock", name)
        assert f"locks.{name}" in found["params"]
        assert f"data/keys/locks/{name}.json" in found["deps"]


@pytest.mark.parametrize(
    "name",
    ["np-4.5", ".", "..", ".np", "-np", "--help", "np 4", "np/4", "np\\4", "NP-4", "np[4]", "np'4",
     'np"4', "np$4", "`np`", "$(np)", "${np}", "np;4", "np&4", "np|4", "np*", "np?", "~", "~root",
     "#np", "np@4", "np:4", "np,4", "np+4", "np=4", "np%4", "np\n4", "np\x004", "np\x1b[2J", "ключ",
     "e\u0301", "", "x" * 64],
)  # fmt: skip
def test_any_other_name_of_a_lock_is_refused_with_the_rule(name: str) -> None:
    message = lock_faults(name)
    assert "a lock's name must be lower-case letters, digits, '-' or '_'" in message
    assert message.count("\n") == 1
    assert "\x1b" not in message


@quick
@given(st.text(st.characters(codec="ascii", exclude_characters="'\0\n\r.[]"), min_size=1))
def test_quotes_keep_a_name_one_word_before_seglock_sees_it(repo: Repo, name: str) -> None:
    """DVC starts the stages: a shell reads the name before the rule does."""
    cmd = f"seglock train --lock '{name}'"
    assert shlex.split(cmd)[-1] == name
    assert STAGES["stages"]["train"]["do"]["cmd"] == "seglock train --lock '${key}'"


@pytest.mark.parametrize("field", ["train_split", "val_split", "test_split"])
@pytest.mark.parametrize("name", ["../train", "a/b", "..", ".hidden", "a\\b", "a\0", "\x1b", ""])
def test_a_list_cannot_lie_elsewhere(field: str, name: str) -> None:
    with pytest.raises(ConfigError, match=rf"1 fault:\n  data\.{field}: a list's name must be"):
        check_params({"locks": {"baseline": {"steps": []}}, "data": {field: name}})


@pytest.mark.parametrize("name", ["train_aug", "trainval2007", "val 2", "train-1.4", "обучение"])
def test_lists_have_the_names_that_people_give_them(name: str) -> None:
    check_params({"locks": {"baseline": {"steps": []}}, "data": {"train_split": name}})


@pytest.mark.parametrize(
    ("section", "value"),
    [("data", {"dataset": "../x", "source": "x"}), ("search", {"study": "a/b"}),
     ("locks", {"baseline": {"steps": []}, "x": {"steps": ["np-4"], "key": "../main"}})],
)  # fmt: skip
def test_other_names_are_of_one_folder_too(section: str, value: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="a name must be lower-case letters"):
        check_params({"locks": {"baseline": {"steps": []}}} | {section: value})


def test_an_experiment_has_a_name() -> None:
    """The store took the lack of one for an experiment that was deleted."""
    with pytest.raises(ConfigError, match=r"tracking\.experiment: .* at least 1 character"):
        check_params({"locks": {"baseline": {"steps": []}}, "tracking": {"experiment": ""}})
