"""What names a study: everything its figures are a function of, and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from seglock.errors import DataError
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
        {"enqueue": ["np-4+shf-4"]},  # one more lock that Optuna may choose
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
        {"max_drop": 0.5, "max_regained": 0.5},
        {"pruner": "baseline", "margin": 0.5, "warmup_epochs": 1},
        {"workers": 2, "retries": 9, "resources": {"cpus": 2.0}},
        {"storage": "sqlite:///x.db", "storage_timeout_seconds": 5.0},
        {"enqueue": ["np-4"]},
    ],
)
def test_what_may_change_while_it_goes_on(study_root: Path, changed: dict[str, Any]) -> None:
    assert name_of(study_root, **changed) == name_of(study_root)


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
    assert before.weights_sha256 is None
    write_json(study_root / "data" / "weights" / "weights.json", {"sha256": "ab" * 32})
    after = study_settings(params, study_root)
    assert (after.weights_sha256, after.name == before.name) == ("ab" * 32, False)
    with pytest.raises(DataError):
        study_settings(params, study_root / "nowhere")
    assert before.about["classes"] == ["background", *before.about["classes"][1:]]
    assert before.digest == before.about["dataset_digest"]
