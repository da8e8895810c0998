"""params.yaml as frozen, validated types: the only reader of YAML, above files and errors."""

from seglock.config.edit import AddedLock, add_lock, set_lock_key
from seglock.config.folding import FOLDED
from seglock.config.load import (
    PARAMS_FILE,
    check_params,
    find_lock,
    load_params,
    override,
)
from seglock.config.packaging import inside_fault
from seglock.config.profile import load_profile, merge_profile, merge_values
from seglock.config.refusal import RefusedShares, RefuseParams
from seglock.config.rules import BASELINE, require_batch, step_faults
from seglock.config.schema import (
    NETWORKS,
    AttackParams,
    DataParams,
    EvaluateParams,
    KeysParams,
    LockParams,
    ModelParams,
    Params,
    SyntheticParams,
    TrackingParams,
    TrainParams,
)
from seglock.config.search import (
    RangeParams,
    ResourceParams,
    SearchParams,
    SpaceParams,
    ThiefParams,
)

__all__ = [
    "BASELINE",
    "FOLDED",
    "NETWORKS",
    "PARAMS_FILE",
    "AddedLock",
    "AttackParams",
    "DataParams",
    "EvaluateParams",
    "KeysParams",
    "LockParams",
    "ModelParams",
    "Params",
    "RangeParams",
    "RefuseParams",
    "RefusedShares",
    "ResourceParams",
    "SearchParams",
    "SpaceParams",
    "SyntheticParams",
    "ThiefParams",
    "TrackingParams",
    "TrainParams",
    "add_lock",
    "check_params",
    "find_lock",
    "inside_fault",
    "load_params",
    "load_profile",
    "merge_profile",
    "merge_values",
    "override",
    "require_batch",
    "set_lock_key",
    "step_faults",
]
