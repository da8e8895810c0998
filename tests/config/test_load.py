"""params.yaml: every fault at once, each with its place, value and fix."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError

from seglock.config import check_params, find_lock, load_params, load_profile
from seglock.errors import ConfigError
from seglock.keys import SecretKey
from seglock.transforms import compose

ROOT = Path(__file__).parents[2]
LOCKS: dict[str, Any] = {"baseline": {"steps": []}, "shf-4": {"steps": ["shf-4"]}}


def faults(values: Any) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        check_params(values)
    return str(caught.value).splitlines()[1:]


def test_paper_profile_is_the_papers_experiment() -> None:
    params = load_profile(ROOT / "profiles" / "paper.yaml")
    assert len(params.locks) == 25
    assert {lock.ffx_password for lock in params.locks.values() if lock.method == "ffx"} == {
        "fixed"
    }
    train = params.train
    assert (train.lr, train.momentum, train.weight_decay) == (0.1, 0.9, 0.005)
    assert (train.epochs, train.batch_size, train.restart_epochs) == (100, 256, 10)
    assert (params.data.val_split, params.evaluate.wrong_keys) == (146, 100)


@pytest.mark.parametrize(
    ("names", "says"),
    [
        (
            ("client-2.old", "client_2_old"),
            "client_2_old and client-2.old, both SEGLOCK_KEY_CLIENT",
        ),
        (("dir", "main"), "dir and the key store's folder, both SEGLOCK_KEY_DIR"),
    ],
)
def test_two_keys_with_one_variable_are_refused(names: tuple[str, str], says: str) -> None:
    locks = {f"shf-{i}": {"steps": ["shf-4"], "key": name} for i, name in enumerate(names)}
    (fault,) = faults({"locks": LOCKS | locks})
    assert says in fault
    assert "rename the key" in fault


def test_countermeasures_are_the_synthetic_recipe_with_the_parts_of_each_lock() -> None:
    params = load_profile(ROOT / "profiles" / "countermeasures.yaml")
    demo = load_profile(ROOT / "profiles" / "synthetic.yaml")
    for section in ("data", "model", "train", "evaluate"):
        assert getattr(params, section) == getattr(demo, section)
    assert params.search.trials == 0
    alone = {step for lock in params.locks.values() if len(lock.steps) == 1 for step in lock.steps}
    joined = [lock for lock in params.locks.values() if len(lock.steps) > 1]
    assert {step for lock in joined for step in lock.steps} <= alone
    for name, lock in params.locks.items():
        assert name == ("_".join(lock.steps) or "baseline")
        transform = compose(lock.steps, SecretKey.from_bytes(bytes(range(32))))
        images = torch.zeros(1, 3, params.data.image_side, params.data.image_side).byte()
        assert torch.equal(transform.decrypt(transform.encrypt(images)), images)


def test_all_faults_are_reported_together_with_nearest_names() -> None:
    listed = faults(
        {
            "data": {"image_sidee": 3, "dataset": "Foo"},
            "locks": {"shf-3": {"steps": ["shf-3", "nq-4", "shf4"]}, "bare": {}},
            "train": {"epochs": 0, "optimizer": "sdg"},
            "mdel": {},
        }
    )
    text = "\n".join(listed)
    for expected in (
        "data.image_sidee: no such parameter; did you mean 'image_side'?",
        "data.dataset: a name must be lower-case",
        "did you mean 'np'?",
        "got 'shf4'",
        "locks.bare.steps: must be given",
        "locks must contain baseline",
        "locks.shf-3: block_size must divide the image side, got block_size=3, side=64",
        "train.epochs: must be greater than or equal to 1, got 0",
        "did you mean 'sgd'?",
        "mdel: no such parameter; did you mean 'model'?",
    ):
        assert expected in text
    assert len(listed) == len(set(listed))


@pytest.mark.parametrize(
    ("section", "value", "expected"),
    [
        ("train", {"crop_scale": [0.9, 0.1]}, "0 < low <= high <= 1"),
        ("train", {"batch_size": 10, "accumulate": 3}, "must divide"),
        ("train", {"min_lr": 1.0}, "train.min_lr must be <= train.lr"),
        ("train", {"epochs": "12"}, "train.epochs: must be a valid integer, got '12'"),
        ("data", {"dataset": "mine"}, "data.source must name the folder"),
        ("data", {"source": "x"}, "must be null for the synthetic dataset"),
        ("model", {"baseline_weights": "baseline"}, "must be none, imagenet, coco or a file"),
        ("model", {"name": "fcn_resnet5"}, "did you mean 'fcn_resnet50'?"),
        ("evaluate", {"wrong_keys": 1}, "greater than or equal to 2"),
        ("train", {"epochs": 3, "warmup_epochs": 3}, "got 3 of 3; lower train.warmup_epochs"),
        ("train", {"nesterov": True, "momentum": 0.0}, "train.nesterov needs train.momentum"),
        ("train", {"device": "gpu"}, "train.device must be auto, cpu, cuda, cuda:NUMBER or mps"),
        ("train", {"device": "cuda:"}, "got 'cuda:'; write auto"),
        ("model", {"initial_weights": "coco"}, "one that fcn_small has, got 'coco'; use none, a"),
        ("model", {"baseline_weights": "imagenet"}, "model.baseline_weights must be one that"),
        (
            "model",
            {"zero_init_residual": True},
            "needs a network with residual branches, got 'fcn_s",
        ),
        (
            "model",
            {"name": "fcn_resnet50", "norm": "frozen", "zero_init_residual": True},
            "got norm=frozen; set model.norm to batch or group",
        ),
        ("train", {"color_jitter": 1.5}, "must be less than or equal to 1, got 1.5"),
        ("train", {"checkpoint_seconds": -1.0}, "must be greater than or equal to 0"),
        ("train", {"average": 1.0}, "must be less than 1, got 1.0"),
        ("data", {"train_split": "val"}, "must name different lists, got val, val; hold"),
        ("data", {"val_split": "train"}, "must name different lists, got train, train, val"),
        ("data", {"val_split": "val"}, "must name different lists, got train, val, val"),
    ],
)
def test_a_bad_value_is_named(section: str, value: dict[str, Any], expected: str) -> None:
    listed = faults({"locks": LOCKS, section: value})
    assert len(listed) == 1
    assert expected in listed[0]


@pytest.mark.parametrize("norm", ["frozen", "group"])
@pytest.mark.parametrize("other_fault", [{}, {"width": 0}])
def test_statistics_are_re_estimated_where_there_are_some(
    norm: str, other_fault: dict[str, Any]
) -> None:
    train = {"reestimate_batch_norm": True}
    listed = faults({"locks": LOCKS, "model": {"norm": norm} | other_fault, "train": train})
    rule = f"train.reestimate_batch_norm needs model.norm: batch, got {norm!r}"
    assert [fault.strip() for fault in listed if rule in fault] == [
        f"{rule}; set train.reestimate_batch_norm: false"
    ]
    assert len(listed) == 1 + len(other_fault)


COMMON = {
    "epochs": 200, "warmup_epochs": 5, "schedule": "cosine", "min_lr": 0.0, "aux_loss_weight": 0.4,
    "crop_scale": [0.35, 1.0], "flip": 0.5, "color_jitter": 0.4, "average": 0.99,
    "reestimate_batch_norm": True, "select": "val_miou",
}  # fmt: skip


@pytest.mark.parametrize(
    "recipe",
    [
        {"optimizer": "adamw", "lr": 0.001, "batch_size": 32, "weight_decay": 0.05},
        {"optimizer": "sgd", "nesterov": True, "lr": 0.05, "batch_size": 16, "weight_decay": 5e-4},
    ],
)
def test_recipes_from_scratch_can_be_written(recipe: dict[str, Any]) -> None:
    model = {"name": "fcn_resnet50", "zero_init_residual": True}
    train = check_params({"locks": LOCKS, "model": model, "train": COMMON | recipe}).train
    assert (train.optimizer, train.average) == (recipe["optimizer"], 0.99)


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        (["shf-4", "np-8"], "share one block side"),
        (["ffx-4", "np-4"], "write [np-4, ffx-4]"),
        (["ffx-4", "ffx-4"], "at most one FFX"),
        (["np-4-f101"], "at most 100"),
        ([], "every other has some"),
    ],
)
def test_impossible_locks(steps: list[str], expected: str) -> None:
    assert expected in "\n".join(faults({"locks": LOCKS | {"x": {"steps": steps}}}))


@pytest.mark.parametrize(
    "lock",
    [
        {"steps": ["np-4-f100"]},
        {"steps": ["np-4-f0"]},
        {"steps": ["shf-4-f2"]},
        {"steps": ["shf-1-f34", "np-1-f100", "shf-1-f0"]},
        {"steps": ["ffx-4-f0"]},
        {"steps": ["ffx-4-f100"], "ffx_password": "fixed"},
    ],
)
def test_a_lock_with_one_plan_is_refused(lock: dict[str, Any]) -> None:
    listed = faults({"locks": LOCKS | {"x": lock}})
    assert len(listed) == 1
    assert "locks.x: a lock must have more than one plan" in listed[0]
    assert f"got steps {', '.join(lock['steps'])}; shuffle" in listed[0]


def test_a_lock_with_a_step_of_many_plans_is_fine() -> None:
    check_params(
        {
            "locks": LOCKS
            | {
                "a": {"steps": ["np-4-f100", "shf-4"]},
                "b": {"steps": ["ffx-4-f100"]},
                "c": {"steps": ["shf-4-f5"]},
            }
        }
    )


def test_all_faults_of_a_recipe_are_reported() -> None:
    listed = faults(
        {
            "locks": LOCKS,
            "train": {
                "crop_scale": [0.9, 0.1],
                "crop_ratio": [2.0, 1.0],
                "min_lr": 1.0,
                "batch_size": 10,
                "accumulate": 3,
                "warmup_epochs": 12,
                "device": "gpu",
            },
        }
    )
    names = [line.split()[0] for line in listed]
    assert sorted(names) == [
        "train.accumulate", "train.crop_ratio", "train.crop_scale", "train.device",
        "train.min_lr", "train.warmup_epochs",
    ]  # fmt: skip


def test_one_bad_value_hides_no_rule_between_the_others() -> None:
    listed = faults(
        {
            "data": {"image_sidee": 1, "dataset": "mine", "test_split": "train"},
            "model": {"widht": 8, "initial_weights": "coco", "baseline_weights": "baseline"},
            "train": {
                "epochs": "12",
                "warmup_epochs": 99,
                "lr": None,
                "crop_scale": [0.9, 0.1],
                "crop_ratio": [1, "2"],
                "batch_size": 10,
                "accumulate": 3,
            },
            "locks": {
                "x": {"steps": ["ffx-5", "np-3", "np-3"], "kye": "main"},
                "y": {"steps": ["np-4-f100", "nq-4"]},
                "z": {"steps": ["np-4-f100"], "key": 3},
                "baseline": 3,
            },
        }
    )
    expected = [
        "data.image_sidee: no such parameter",
        "data.source must name the folder of dataset 'mine'",
        "data.train_split, val_split and test_split must name different lists",
        "model.widht: no such parameter",
        "model.initial_weights must be one that fcn_small has",
        "model.baseline_weights must be none, imagenet, coco or a file",
        "train.epochs: must be a valid integer",
        "train.lr: must be a valid number",
        "train.crop_ratio.1: must be a valid number",
        "train.crop_scale must be 0 < low <= high <= 1, got [0.9, 0.1]",
        "train.accumulate must divide train.batch_size",
        "locks.x.kye: no such parameter",
        "locks.x: the steps of one lock must share one block side",
        "locks.x: NP must come before FFX",
        "locks.x: block_size must divide the image side, got block_size=5",
        "locks.x: block_size must divide the image side, got block_size=3",
        "locks.y.steps.1: a step's method",
        "locks.z.key: must be a valid string",
        "locks.z: a lock must have more than one plan",
        "locks.baseline: must be a valid dictionary",
    ]
    for text in expected:
        assert len([line for line in listed if line.strip().startswith(text)]) == 1, text
    assert len(listed) == len(expected), listed


def test_params_are_frozen() -> None:
    params = check_params({"locks": LOCKS})
    with pytest.raises(ValidationError):
        params.train.epochs = 3  # type: ignore[misc]


def test_unknown_lock_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"got 'sfh-4'; did you mean 'shf-4'\?"):
        find_lock(check_params({"locks": LOCKS}), "sfh-4")


def test_method_and_block_size_of_a_lock() -> None:
    params = check_params({"locks": LOCKS | {"mixed": {"steps": ["np-4", "shf-4"]}}})
    assert [lock.method for lock in params.locks.values()] == ["baseline", "shf", "np+shf"]
    assert [lock.block_size for lock in params.locks.values()] == [None, 4, 4]


@pytest.mark.parametrize("text", ["locks: [", "a: 1\na: 2\n", "\xff\x00"])
def test_broken_yaml_is_one_message(tmp_path: Path, text: str) -> None:
    path = tmp_path / "params.yaml"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(ConfigError, match="must be readable YAML"):
        load_params(path)


def test_missing_file_says_where_to_run(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="run seglock in the project's folder"):
        load_params(tmp_path / "params.yaml")


@pytest.mark.parametrize("values", [None, 3, "text", [], {"locks": None}, {"locks": {"a": 1}}])
def test_a_file_of_the_wrong_shape_is_a_config_error(values: Any) -> None:
    assert faults(values)
