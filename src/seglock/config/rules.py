"""Rules that several values of params.yaml must keep together, as pure functions over plain values.

Each takes a section as a mapping of names to values and returns every fault, one line each. A
value that a rule needs and that is missing stays out of it: of a faulty file, what can be read
is checked all the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from seglock.config.timm_names import TIMM
from seglock.errors import ConfigError, SeglockError, TrainingError, nearest_name
from seglock.steps import (
    FeatureStep,
    Step,
    check_block_divides,
    has_one_plan,
    image_steps,
    read_step,
    sequence_faults,
)
from seglock.variables import FOLDER_VARIABLE, key_variable

BASELINE = "baseline"
PUBLISHED_WEIGHTS: Mapping[str, tuple[str, ...]] = {
    "fcn_small": (),
    "fcn_resnet50": ("imagenet", "coco"),
    "fcn_resnet101": ("imagenet", "coco"),
    "deeplabv3_resnet50": ("imagenet", "coco"),
    "lraspp_mobilenet_v3_large": ("imagenet", "coco"),
}
"""The networks, and the published weights that each has; beside them there are those of timm."""

RESIDUAL = ("fcn_resnet50", "fcn_resnet101", "deeplabv3_resnet50")
"""The networks that ``model.zero_init_residual`` is for."""

_KINDS = ("imagenet", "coco")
_TIMM_NAME = re.compile(TIMM + r"[\w-]+(\.[\w-]+)?", re.ASCII)
_DEVICE = re.compile(r"auto|cpu|mps|cuda(:[0-9]+)?")

Values = Mapping[str, Any]


def device_faults(name: str) -> list[str]:
    """A device by a name that could mean one; whether this machine has it is seen at start.

    >>> device_faults("cuda:1"), len(device_faults("gpu"))
    ([], 1)
    """
    if _DEVICE.fullmatch(name):
        return []
    rule = "train.device must be auto, cpu, cuda, cuda:NUMBER or mps"
    return [as_fault(rule, repr(name), "write auto")]


def published_weights(network: str) -> tuple[str, ...] | None:
    """The kinds of published weights that a network has, or None where there is none of that name.

    What timm has is seen when it is first needed.
    """
    if _TIMM_NAME.fullmatch(network):
        return ("imagenet",)
    return PUBLISHED_WEIGHTS.get(network)


def network_faults(name: str) -> list[str]:
    """A network of ours by its name, or one of timm's by a name that could mean one.

    >>> network_faults("timm/resnet18"), len(network_faults("resnet18"))
    ([], 1)
    """
    if published_weights(name) is not None:
        return []
    rule = f"model.name must be {', '.join(PUBLISHED_WEIGHTS)} or timm/NAME"
    return [as_fault(rule, repr(name), nearest_name(name, PUBLISHED_WEIGHTS))]


def data_faults(data: Values) -> list[str]:
    """The source must fit the dataset, and each list may serve one split only."""
    faults = []
    dataset, source = data.get("dataset"), data.get("source")
    if dataset == "synthetic" and source is not None:
        faults.append("data.source must be null for the synthetic dataset; it is generated")
    known = dataset in (None, "synthetic", "voc2012")
    if not known and "source" in data and source is None:
        faults.append(
            f"data.source must name the folder of dataset {dataset!r}, got null; "
            "only synthetic and voc2012 know where they come from"
        )
    lists = [data.get(f"{split}_split") for split in ("train", "val", "test")]
    named = [name for name in lists if isinstance(name, str)]
    if len(set(named)) < len(named):
        faults.append(
            as_fault(
                "data.train_split, val_split and test_split must name different lists",
                ", ".join(named),
                "hold images out of the train list with data.val_split: NUMBER",
            )
        )
    return faults


def model_faults(model: Values) -> list[str]:
    """Published weights and residual branches must be what the network has.

    >>> model_faults({"name": "fcn_resnet50", "initial_weights": "coco"})
    []
    """
    faults = []
    if model.get("baseline_weights") == BASELINE:
        faults.append("model.baseline_weights must be none, imagenet, coco or a file")
    name = model.get("name")
    known = published_weights(str(name))
    published = _KINDS if known is None else known
    for option in ("initial_weights", "baseline_weights"):
        kind = model.get(option)
        if kind in _KINDS and kind not in published:
            fix = f"use {' or '.join(['none', *published])}, a file, or another model.name"
            faults.append(as_fault(f"model.{option} must be one that {name} has", repr(kind), fix))
    if model.get("zero_init_residual") is True:
        if known is not None and name not in RESIDUAL:
            rule = "model.zero_init_residual needs a network with residual branches"
            fix = f"set it to false, or model.name to {' or '.join(RESIDUAL)}"
            faults.append(as_fault(rule, repr(name), fix))
        if model.get("norm") == "frozen":
            rule = "model.zero_init_residual needs a norm whose scale is trained"
            faults.append(as_fault(rule, "norm=frozen", "set model.norm to batch or group"))
    return faults


def recipe_faults(model: Values, train: Values) -> list[str]:
    """What the recipe asks of the network.

    >>> recipe_faults({"norm": "batch"}, {"reestimate_batch_norm": True})
    []
    """
    if train.get("reestimate_batch_norm") is True and model.get("norm", "batch") != "batch":
        rule = "train.reestimate_batch_norm needs model.norm: batch"
        return [as_fault(rule, repr(model["norm"]), "set train.reestimate_batch_norm: false")]
    return []


def train_faults(train: Values) -> list[str]:
    """What the numbers of the recipe must be to each other."""
    faults = []
    if "crop_scale" in train:
        low, high = train["crop_scale"]
        if not 0 < low <= high <= 1:
            faults.append(as_fault("train.crop_scale must be 0 < low <= high <= 1", [low, high]))
    if "crop_ratio" in train:
        low, high = train["crop_ratio"]
        if not 0 < low <= high:
            faults.append(as_fault("train.crop_ratio must be 0 < low <= high", [low, high]))
    if _has(train, "min_lr", "lr") and train["min_lr"] > train["lr"]:
        got = f"{train['min_lr']} > {train['lr']}"
        faults.append(as_fault("train.min_lr must be <= train.lr", got))
    if _has(train, "batch_size", "accumulate") and train["batch_size"] % train["accumulate"]:
        got = f"{train['accumulate']} and {train['batch_size']}"
        faults.append(as_fault("train.accumulate must divide train.batch_size", got))
    if _has(train, "warmup_epochs", "epochs") and train["warmup_epochs"] >= train["epochs"]:
        got = f"{train['warmup_epochs']} of {train['epochs']}"
        fix = "lower train.warmup_epochs or train longer"
        faults.append(as_fault("train.warmup_epochs must be less than train.epochs", got, fix))
    sgd = train.get("optimizer") == "sgd"
    if sgd and train.get("nesterov") is True and train.get("momentum") == 0:
        fix = "set train.nesterov: false, or a momentum"
        faults.append(as_fault("train.nesterov needs train.momentum above 0", 0, fix))
    return faults


def require_batch(train: Values, images: int) -> None:
    """Raise TrainingError where an epoch over so many training images would have no batch.

    >>> require_batch({"batch_size": 4, "drop_last": True}, 4)
    """
    size = train["batch_size"]
    if images < (size if train["drop_last"] else 1):
        raise TrainingError(
            "an epoch must have at least one batch",
            got=f"{images} training images, train.batch_size={size}, "
            f"train.drop_last={str(train['drop_last']).lower()}",
            fix=f"lower train.batch_size to {images} or less, or set train.drop_last: false"
            if images
            else "name some in the train list",
        )


def singles(train: Values, images: int) -> str | None:
    """What to change where a recipe makes a batch, or a part of one, of a single image, which not
    every network can normalise; None where it makes none.

    >>> singles({"batch_size": 4, "accumulate": 1, "drop_last": False}, 9)
    'set train.drop_last: true, or a train.batch_size that leaves more than one image over'
    >>> singles({"batch_size": 4, "accumulate": 1, "drop_last": False}, 8)
    """
    size, parts = train["batch_size"], train["accumulate"]
    if size // parts == 1:
        return "raise train.batch_size" + (" or lower train.accumulate" if parts > 1 else "")
    over = 0 if train["drop_last"] else images % size
    if over and over // min(parts, over) == 1:
        return (
            "set train.drop_last: true, or a train.batch_size that leaves more than one image over"
        )
    if train.get("reestimate_batch_norm") and images // -(-images // (size // parts)) == 1:
        return "set train.reestimate_batch_norm: false, or another train.batch_size"
    return None


def lock_faults(locks: Mapping[str, Values], image_side: int | None) -> list[str]:
    """What is wrong with the locks, each a mapping; no ``image_side``: all but the block sides."""
    faults = []
    if BASELINE not in locks:
        faults.append("locks must contain baseline: {steps: []}; every figure is compared with it")
    for name, lock in locks.items():
        if "steps" not in lock:
            continue
        if (name == BASELINE) != (not lock["steps"]):
            faults.append(
                f"locks.{name}: the lock named baseline has no steps, every other has some"
            )
        faults += [f"locks.{name}: {fault}" for fault in step_faults(lock, image_side)]
    faults += _key_faults({str(lock["key"]) for lock in locks.values() if "key" in lock})
    return list(dict.fromkeys(faults))


def _key_faults(names: Iterable[str]) -> list[str]:
    """Each key has a variable of its own, so that one in the environment is never another's."""
    taken = {FOLDER_VARIABLE: "the key store's folder"}
    faults = []
    for name in sorted(names):
        other = taken.setdefault(key_variable(name), name)
        if other != name:
            rule = "locks: two keys must not share one variable of the environment"
            got = f"{name} and {other}, both {key_variable(name)}"
            faults.append(as_fault(rule, got, f"rename the key {name}"))
    return faults


def order_faults(steps: Iterable[object]) -> list[str]:
    """What is wrong with the order of a lock's steps, of those names that can be read."""
    return [str(fault) for fault in sequence_faults(readable(steps))]


def step_faults(lock: Values, image_side: int | None) -> list[str]:
    """What is wrong with the steps of a lock, as far as their names can be read.

    >>> len(step_faults({"steps": ["np-3"]}, 16)), step_faults({"steps": ["np-4"]}, 16)
    (1, [])
    """
    names = list(lock["steps"])
    steps = readable(names)
    faults = order_faults(names)
    images = image_steps(steps)
    for step in images:
        try:
            if image_side is not None:
                check_block_divides(step.block_size, image_side)
        except SeglockError as error:
            faults.append(str(error))
    password = lock.get("ffx_password")
    if password and names and len(images) == len(names) and has_one_plan(images, password):
        faults.append(
            as_fault(
                "a lock must have more than one plan for a key to be wrong",
                f"steps {', '.join(map(str, steps))}",
                "shuffle two positions or more, or touch a share between none and all of them",
            )
        )
    return faults


def readable(names: Iterable[object]) -> list[Step | FeatureStep]:
    """The steps among names that can be read."""
    steps = []
    for name in names:
        try:
            steps.append(read_step(name))
        except ConfigError:
            continue
    return steps


def _has(values: Values, *names: str) -> bool:
    return all(name in values for name in names)


def as_fault(rule: str, got: object, fix: str | None = None) -> str:
    return str(ConfigError(rule, got=got, fix=fix))
