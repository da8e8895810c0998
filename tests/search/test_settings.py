"""What names a study: everything its figures are a function of, and nothing else."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from seglock.attacks import ATTACKS
from seglock.errors import ConfigError, DataError
from seglock.files import write_json
from seglock.search.settings import differences, study_settings
from tests.search.small_study import study_params


def name_of(root: Path, **search: Any) -> str:
    return study_settings(study_params(**{"study": None} | search), root).name


def test_a_name_of_ones_own_is_kept(study_root: Path) -> None:
    assert name_of(study_root, study="mine") == "mine"
    assert name_of(study_root).startswith("tradeoff-")


@pytest.mark.parametrize(
    "changed",
    [
        {"space": {"steps": ["np"], "block_size": [2, 4]}},
        {"objective": "scalar"},
        {"weight": 0.5},
        {"split": "test"},
        {"wrong_keys": 9},
        {"baseline_seeds": 3},
        {"thief": {"tier": "T0"}},
        {"enqueue": ["np-4+shf-4"]},  # one more lock that Optuna may choose
        {"enqueue": ["np-4 refuse 0.1"]},
        {"space": {"steps": ["shf", "np", "ffx"], "block_size": [2, 4, 8, 16], "refuse": [0.1]}},
    ],
)
def test_what_changes_the_study(study_root: Path, changed: dict[str, Any]) -> None:
    assert name_of(study_root, **changed) != name_of(study_root)


@pytest.mark.parametrize(
    "changed",
    [
        {"trials": 99},
        {"sampler": "tpe"},
        {"seed": 5},
        {"max_drop": 0.5, "max_regained": 0.5, "min_key_bits": 0},
        {"pruner": "baseline", "margin": 0.5, "warmup_epochs": 1},
        {"workers": 2, "retries": 9, "resources": {"cpus": 2.0}},
        {"storage": "sqlite:///x.db", "storage_timeout_seconds": 5.0},
        {"enqueue": ["np-4"]},
        {"thief": {"attacks": ["hill-climb"], "queries": 9, "labelled": 50.0}},  # nobody is there
    ],
)
def test_what_may_change_while_it_goes_on(study_root: Path, changed: dict[str, Any]) -> None:
    assert name_of(study_root, **changed) == name_of(study_root)


@pytest.mark.parametrize(
    "changed",
    [
        {"tier": "T2"},
        {"attacks": ["hill-climb"]},
        {"queries": 201},
        {"seconds": 2.5},
        {"labelled": 11.0},
    ],
)
def test_another_thief_is_another_study(study_root: Path, changed: dict[str, Any]) -> None:
    def named(**thief: Any) -> str:
        return name_of(study_root, thief={"tier": "T1"} | thief)

    assert named(**changed) != named() == named(seconds=10.0)


def test_a_study_names_its_thief_with_each_attack(
    study_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = study_settings(study_params(), study_root)
    assert "thief" not in before.fingerprint["search"]  # as studies had it before there were any
    assert before.about["thief"] is None
    params = study_params(thief={"tier": "T1", "queries": 7})
    after = study_settings(params, study_root)
    assert "search.thief.tier: (absent) -> T1" in differences(before.fingerprint, after.fingerprint)
    assert after.about["thief"] == after.fingerprint["search"]["thief"]
    assert {"unsupervised", "hill-climb"} < set(after.about["thief"]["attacks"])
    new = dataclasses.replace(ATTACKS["unsupervised"], name="new")
    monkeypatch.setitem(ATTACKS, "new", new)
    assert study_settings(params, study_root).fingerprint != after.fingerprint
    with pytest.raises(ConfigError, match=r"search\.thief\.tier: \(absent\) -> T1"):
        after.check(before.fingerprint)


def test_a_thief_that_cannot_be_is_refused_before_any_work(study_root: Path) -> None:
    with pytest.raises(ConfigError, match=r"attacks that the suite has, got 'hil.*'hill-climb'"):
        name_of(study_root, thief={"tier": "T1", "attacks": ["hil-climb"]})
    with pytest.raises(ConfigError, match=r"up to search\.thief\.tier, T0, got hill-climb of T1"):
        name_of(study_root, thief={"tier": "T0", "attacks": ["unsupervised", "hill-climb"]})


def test_data_recipe_and_weights_are_part_of_it_and_the_machine_is_not(study_root: Path) -> None:
    params = study_params(study=None)
    before = study_settings(params, study_root)

    def with_train(**values: Any) -> Any:
        return params.model_copy(update={"train": params.train.model_copy(update=values)})

    elsewhere = {"device": "cuda", "channels_last": True, "compile": True, "data_on_device": True}
    assert study_settings(with_train(**elsewhere), study_root) == before
    assert study_settings(with_train(lr=0.5), study_root).name != before.name
    half = study_settings(with_train(precision="bf16"), study_root)
    assert differences(before.fingerprint, half.fingerprint) == ["train.precision: auto -> bf16"]
    assert before.fingerprint["weights"]["sha256"] is None
    write_json(study_root / "data" / "weights" / "weights.json", {"sha256": "ab" * 32})
    after = study_settings(params, study_root)
    assert (after.fingerprint["weights"]["sha256"], after.name == before.name) == ("ab" * 32, False)
    with pytest.raises(DataError):
        study_settings(params, study_root / "nowhere")
    assert before.about["classes"] == ["background", *before.about["classes"][1:]]


def test_a_study_without_refusals_is_named_as_before_there_were_any(study_root: Path) -> None:
    found = study_settings(study_params(), study_root).fingerprint
    assert "refuse" not in found["search"]["space"]
    assert "refuse" not in found["parameters"]
