"""The sections of params.yaml as frozen, validated types; params.yaml comments on each knob."""

from __future__ import annotations

import warnings
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from seglock.config.folding import Fold, fold_faults
from seglock.config.packaging import package_faults
from seglock.config.refusal import Refuse, refusal_faults
from seglock.config.rules import (
    BASELINE,
    PUBLISHED_WEIGHTS,
    data_faults,
    device_faults,
    lock_faults,
    model_faults,
    network_faults,
    order_faults,
    recipe_faults,
    train_faults,
)
from seglock.config.search import SearchParams
from seglock.config.search_rules import study_faults
from seglock.config.section import (
    LARGEST,
    Count,
    ListName,
    ListNameOrNumber,
    LockName,
    Name,
    NotNegative,
    Percent,
    Positive,
    PositiveInt,
    Seconds,
    Section,
    Seed,
    Share,
    without,
)
from seglock.config.timm_names import TIMM, timm_normalisation
from seglock.methods import FfxPassword
from seglock.normalisation import IMAGENET, Normalisation
from seglock.steps import FeatureStep, Step, image_steps, read_step, split_steps

NETWORKS = tuple(PUBLISHED_WEIGHTS)


def _check_step(name: str) -> str:
    read_step(name)
    return name


DeviceName = Annotated[str, AfterValidator(without(device_faults))]
NetworkName = Annotated[str, AfterValidator(without(network_faults))]
StepName = Annotated[str, AfterValidator(_check_step)]
Auto = Literal["auto"] | bool


def _pair(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


Range = Annotated[tuple[Positive, Positive], BeforeValidator(_pair)]


class SyntheticParams(Section):
    """The generated dataset: how many images of which side, and from which seed."""

    train: PositiveInt = 576
    test: PositiveInt = 128
    side: Annotated[int, Field(ge=16, le=LARGEST)] = 64
    classes: Annotated[int, Field(ge=2, le=20)] = 7
    seed: Seed = 0


class DataParams(Section):
    """Where images come from, which classes count, and how they are split and resized."""

    dataset: Name = "synthetic"
    source: str | None = None
    extra_source: str | None = None
    classes: list[str] | None = None
    train_split: ListName = "train"
    val_split: ListNameOrNumber = 64
    test_split: ListName = "val"
    split_seed: Seed = 0
    image_side: PositiveInt = 64
    synthetic: SyntheticParams = SyntheticParams()

    def faults(self) -> list[str]:
        return data_faults(dict(self))


class KeysParams(Section):
    """How the pipeline treats keys; the secrets themselves are never here."""

    create_missing: bool = True


class LockParams(Section):
    """One lock: its steps from left to right and the key they are planned from.

    ``ffx_divisor`` None divides FFX values by their table's maximum; ``refuse`` None leaves open
    what the network answers without the key; ``fold``: how the key comes into the initial weights.
    """

    steps: list[StepName]
    key: Name = "main"
    ffx_password: FfxPassword = "from_key"  # noqa: S105 - a choice, not a password
    ffx_divisor: PositiveInt | None = None
    refuse: Refuse | None = None
    fold: Fold | None = None

    def faults(self) -> list[str]:
        return order_faults(self.steps)

    @property
    def parsed_steps(self) -> list[Step]:
        """The steps on images."""
        return image_steps(self.steps)

    @property
    def feature_steps(self) -> list[FeatureStep]:
        """The steps on feature maps."""
        return split_steps(self.steps)[1]

    @property
    def block_size(self) -> int | None:
        """The block side all steps on images share, or None where there are none."""
        return next((step.block_size for step in self.parsed_steps), None)

    @property
    def method(self) -> str:
        """``baseline``, ``shf``, ``np``, ``ffx``, ``chp``, or a composition such as ``np+shf``."""
        return "+".join(read_step(step).method for step in self.steps) or BASELINE


class ModelParams(Section):
    """The network and where its weights start."""

    name: NetworkName = "fcn_small"
    initial_weights: str = "none"
    baseline_weights: str = "none"
    width: PositiveInt = 32
    norm: Literal["batch", "frozen", "group"] = "batch"
    zero_init_residual: bool = False

    def faults(self) -> list[str]:
        return model_faults(dict(self))

    @property
    def normalisation(self) -> Normalisation:
        """What the network's inputs are normalised by.

        Raises ModelError for a network of timm's where timm is missing, or has no such one.
        """
        return timm_normalisation(self.name) if self.name.startswith(TIMM) else IMAGENET


class TrainParams(Section):
    """The recipe. Defaults suit the synthetic set; profile ``paper`` has the paper's."""

    epochs: PositiveInt = 12
    batch_size: PositiveInt = 32
    accumulate: PositiveInt = 1
    drop_last: bool = True
    optimizer: Literal["sgd", "adamw"] = "sgd"
    lr: Positive = 0.2
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    nesterov: bool = False
    weight_decay: NotNegative = 0.0005
    schedule: Literal["one_cycle", "cosine_restarts", "cosine", "constant"] = "one_cycle"
    schedule_per: Literal["step", "epoch"] = "step"
    warmup_epochs: Count = 0
    restart_epochs: PositiveInt = 10
    min_lr: NotNegative = 0.0001
    clip_grad_norm: Positive | None = None
    aux_loss_weight: NotNegative = 0.0
    crop_scale: Range = (0.5, 1.0)
    crop_ratio: Range = (0.75, 1.3333333333333333)
    flip: Share = 0.5
    color_jitter: Share = 0.0
    average: Annotated[float, Field(gt=0, lt=1)] | None = None
    select: Literal["val_loss", "val_miou", "last"] = "val_loss"
    reestimate_batch_norm: bool = False
    seed: Seed = 0
    device: DeviceName = "auto"
    precision: Literal["auto", "float32", "bf16"] = "auto"
    channels_last: Auto = "auto"
    compile: Auto = "auto"
    data_on_device: Auto = "auto"
    checkpoint_seconds: NotNegative = 0.0

    def faults(self) -> list[str]:
        return train_faults(dict(self))

    @property
    def bf16(self) -> bool | None:
        """Whether to compute in bfloat16; None where the device decides."""
        return None if self.precision == "auto" else self.precision == "bf16"


class EvaluateParams(Section):
    """How each lock is judged."""

    wrong_keys: Annotated[int, Field(ge=2, le=LARGEST)] = 20
    batch_size: PositiveInt = 64
    pictures: Count = 4


class TrackingParams(Section):
    """Where runs are grouped in MLflow."""

    experiment: Annotated[str, Field(min_length=1)] = "seglock"
    timeout_seconds: Seconds = 10.0
    required: bool = True


class AttackParams(Section):
    """Budgets hold for each attack; whichever comes first ends it.

    ``with_labels``: how many times the queries an attack of T1 has, which divides them among many
    trainings, of the theft and of a network from scratch; too few, and scratch is still learning.
    ``labelled``: percent of the task's labelled images (as many as the training split has) that a
    thief with labels may use. ``images``: the split that the attacker's images come from.
    """

    names: Literal["all"] | list[Name] = "all"
    queries: PositiveInt = 300
    seconds: Seconds = 20.0
    with_labels: PositiveInt = 1
    labelled: Annotated[list[Percent], Field(min_length=1)] = Field(
        default_factory=lambda: [10.0, 25.0, 50.0]
    )
    images: Literal["val", "train"] = "val"
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0


with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # a model's class has a method of that name, for base classes

    class PackageParams(Section):
        """``register``: the locks that the pipeline packages and registers."""

        register: list[LockName] = Field(default_factory=list)


class Params(Section):
    """The whole of params.yaml."""

    data: DataParams = DataParams()
    keys: KeysParams = KeysParams()
    locks: dict[LockName, LockParams]
    model: ModelParams = ModelParams()
    train: TrainParams = TrainParams()
    evaluate: EvaluateParams = EvaluateParams()
    tracking: TrackingParams = TrackingParams()
    search: SearchParams = SearchParams()
    attack: AttackParams = AttackParams()
    package: PackageParams = PackageParams()

    def faults(self) -> list[str]:
        locks = {name: dict(lock) for name, lock in self.locks.items()}
        faults = lock_faults(locks, self.data.image_side)
        faults += refusal_faults(locks, dict(self.model))
        faults += fold_faults(locks, dict(self.model))
        faults += recipe_faults(dict(self.model), dict(self.train))
        faults += package_faults(self.package.register, locks)
        return faults + study_faults(dict(self.search), dict(self.data), dict(self.train))
